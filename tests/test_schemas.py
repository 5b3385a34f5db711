"""The JSON of every command follows its schema, and a schema says all there is."""

import json
from pathlib import Path

import jsonschema
import pytest
from json_schemas import SCHEMAS, open_schema, schema

COMMANDS = {
    "memory": ("vgg16 --accounting pytorch",
        "lenet5", "lenet5 --batch 8 --optimizer adam --fit 1GB", "lenet5 --fit 1KB",
        "lenet5 --fit 99999999TB", "lenet5 --checkpoint stage", "lenet5 --batch 64 --checkpoint best",
        "googlenet --heads --dtype amp", "opaque.arch", "mine.arch --inference --weights-dtype int8",
        "mine.arch --inference --dtype int8 --in-place activations,add,depthwise --arena",
    ),
    "report": (
        "vgg16", "googlenet --heads", "resnet50 --depth 1 --convention fvcore", "mine.arch",
        "opaque.arch --training", "lenet5 --training --optimizer adam",
    ),
    "compare": (
        "vgg16 mobilenet_v1", "resnet50 resnet50_v1_5 --convention thop", "alexnet vgg16 lenet5",
        "lenet5 mine.arch --training --optimizer adam",
    ),
    "audit": ("", "--deck papers"),
    "tables": ("", "T4", "T12"),
    "check": (
        "vgg16", "vgg16 resnet50 --convention fvcore", "broken.arch", "bounds.arch", "nothing.arch",
        "--locked mine.lock", "vgg16 --expect params<1",
    ),
    "list": ("", "--family resnet", "v1_5"),
    "verify": ("lenet5 pools.arch --jobs 1", "big.arch"),
    "conventions": ("", "thop", "torchscan", "lenet5", "mine.arch --input 3x12x8"),
    "sweep": (
        "mobilenet_v1 --set width=0.01,0.5", "lenet5 --set batch=1,2 --expect macs<1",
        "mobilenet_v1 --set shallow=true,false --set classes=2 --limit 1",
    ),
    "solve": (
        "vgg16 --find classes=1..2000 --expect params<=140M", "vgg16 --find classes=1..9 --expect params<1",
        "mobilenet_v1 --find width=0.01..0.5 --smallest --expect params>1M",
        "mobilenet_v1 --find width=0.01..0.5 --maximize params --minimize macs",
    ),
    "formula": (
        "lenet5 params --set classes=1..9", "mobilenet_v1 params --set width=0.01..1",
        "mobilenet_v1 params --set width=0.5..1 --set classes=1..9",
        "mobilenet_v1 macs --set width=0.5,1 --set resolution=1..64",
    ),
    "reconcile": ("resnet50 4.1G 3.8G", "vgg16 96MB", "alexnet 61M 1.4G --all", "mine.arch 123456789"),
}  # fmt: skip

TEXTS = {
    "broken.arch": "net broken { input(3x8x8) -> conv(4, 9) }\n",
    "nothing.arch": "net nothing { input(3x8x8) -> conv(4, 3) }\n",
    "mine.arch": "net mine { input(3x9x8) -> conv(4, 3) -> relu\n expect params == 112 }\n",
    "bounds.arch": 'net bounds { input(3x9x8) -> conv(4, 3) -> conv(8, 3)\n expect macs("*") <= 100 }\n',
    "opaque.arch": "net unknown { input(3x9x8) -> conv(4, 3)\n"
    '  opaque(identity, op="roll", shape=4x7x6, reason="none") -> flatten -> fc(2) }\n',
    "big.arch": "net big { input(1x9000000x9000) -> relu }\n",
    "pools.arch": "net pools { input(3x9x8) -> conv(4, 3) -> maxpool(2) -> relu }\n",
}


@pytest.fixture
def here(run):
    for name, text in TEXTS.items():
        Path(name).write_text(text)
    run("lock", "mine.arch", "-o", "mine.lock")
    Path("mine.lock").write_text(Path("mine.lock").read_text().replace("112", "113"))
    return run


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name):
    published = open_schema(name)
    jsonschema.Draft202012Validator.check_schema(published)
    assert published["title"] == f"archcalc {name} --format json"
    assert {"schema", "archcalc"} <= set(published["required"])


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, arguments) for name in COMMANDS for arguments in COMMANDS[name]]
)
def test_json_follows_its_schema(here, name, arguments):
    written = here(name, *arguments.split(), "--format", "json")
    jsonschema.validate(json.loads(written.out), schema(name))
