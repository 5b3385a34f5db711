"""Makes `gated.keras` and `gated.npz`, and the configurations of two networks of Keras, with Keras 3.

    KERAS_BACKEND=torch python tests/models/make_gated.py

`gated.keras` has a model within it that is called twice, a gate, layers with activation functions, and two
results. The other files have no weights.
"""

import zipfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent


def gated() -> keras.Model:
    unit = keras.Sequential(
        [
            layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv"),
            layers.BatchNormalization(scale=False, name="bn"),
            layers.ReLU(name="relu"),
        ],
        name="unit",
    )
    image = keras.Input((13, 10, 3), name="image")
    x = layers.Conv2D(6, (3, 2), strides=(2, 1), activation="relu", name="stem")(image)
    x = layers.Add(name="sum")([unit(x), x])
    x = unit(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = layers.Conv2D(6, 1, activation="sigmoid", name="excite")(gate)
    x = layers.Multiply(name="gated")([x, gate])
    x = layers.SeparableConv2D(8, 3, depth_multiplier=2, activation="gelu", name="separable")(x)
    x = layers.AveragePooling2D(2, padding="same", name="pool")(x)
    logits = layers.Dense(5, activation="softmax", name="logits")(layers.Flatten(name="flatten")(x))
    places = layers.Dense(2, name="places")(x)
    return keras.Model(image, {"logits": logits, "places": places}, name="gated")


def values(rng: np.random.Generator, variable: keras.Variable) -> np.ndarray:
    """Values of which none is near 0, so that an array that is not read, or is turned, makes a difference."""
    drawn = rng.uniform(0.3, 1, variable.shape)
    return drawn if "variance" in variable.path else drawn * rng.choice([1, 1, -1], variable.shape)


def without_weights(model: keras.Model, name: str) -> None:
    """Save what a file has besides its weights."""
    model.save(HERE / "all.keras")
    with (
        zipfile.ZipFile(HERE / "all.keras") as file,
        zipfile.ZipFile(HERE / f"{name}.keras", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as small,
    ):
        for entry in ("metadata.json", "config.json"):
            small.writestr(zipfile.ZipInfo(entry), file.read(entry), zipfile.ZIP_DEFLATED, 9)
    (HERE / "all.keras").unlink()


def main() -> None:
    rng = np.random.default_rng(0)
    model = gated()
    model.set_weights([values(rng, each) for each in model.weights])
    model.save(HERE / "gated.keras")
    image = rng.normal(size=(2, 13, 10, 3)).astype(np.float32)
    out = model(image, training=False)
    arrays = {name: keras.ops.convert_to_numpy(value) for name, value in out.items()}
    np.savez(HERE / "gated.npz", image=image, **arrays)
    without_weights(keras.applications.ResNet50(weights=None), "resnet50")
    without_weights(keras.applications.MobileNetV3Small(weights=None), "mobilenet_v3_small")


if __name__ == "__main__":
    main()
