"""The pytest plugin: `.arch` files as tests, and a fixture for figures of networks in Python.

Each `expect` line of each net in an `.arch` file is a test, named by its line:
`models/small.arch::small::9: params < 200K`. `-p no:archcalc` turns the plugin off. A `conftest.py` with
`collect_ignore_glob = ["*.arch"]` excludes the files of its folder.

In Python, the fixture `archcalc` opens a network:

    def test_small(archcalc):
        small = archcalc("models/small.arch", width=2)
        assert small.params < 200_000
        small.check("macs <= 0.5 * vgg16")

or takes a PyTorch module and the shapes of its inputs:

    def test_model(archcalc):
        assert archcalc(model, (3, 224, 224)).macs < 4.2e9

Until a test needs more, only `archcalc.readers` is loaded, which recognizes files by their suffix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import keras
    import torch

    from archcalc.checking.evaluate import Evaluator
    from archcalc.expect import Expect
    from archcalc.network import Network
    from archcalc.opened import Opened
    from archcalc.profile import Profile


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    from archcalc.readers import holds_expectations

    if holds_expectations(file_path.name):
        return ArchFile.from_parent(parent, path=file_path)
    return None


class ArchFile(pytest.File):
    """An `.arch` file; its nets that can be reported are collected."""

    def collect(self) -> Iterator[ArchNet]:
        from archcalc.diagnostics import ArchError
        from archcalc.opening import read_file
        from archcalc.readers import suffix_of

        shown = Path(self.nodeid)  # relative to the root, as pytest shows it
        try:
            networks = read_file(suffix_of(self.path.name), self.path, str(shown))
        except ArchError as problem:
            raise self.CollectError(str(problem)) from None
        for opened in networks:
            if not opened.missing:
                yield ArchNet.from_parent(self, name=opened.name, opened=opened)


class ArchNet(pytest.Collector):
    """A net; its expectations are collected."""

    def __init__(self, opened: Opened, **more: Any) -> None:
        super().__init__(**more)
        self.opened = opened

    def collect(self) -> Iterator[ArchExpectation]:
        from archcalc.checking.evaluate import Evaluator, statement
        from archcalc.diagnostics import ArchError
        from archcalc.profile import analyze

        try:
            network = self.opened.network()
            evaluator = Evaluator(analyze(network))
        except ArchError as problem:
            raise self.CollectError(str(problem)) from None
        for expect in network.expectations:
            line, _ = expect.span.source.position(expect.span.start)
            name = f"{line}: {statement(expect)}".translate(_IN_NAMES).replace("::", ":")
            yield ArchExpectation.from_parent(self, name=name, expect=expect, evaluator=evaluator)


_IN_NAMES = str.maketrans("[]", "()")
"""pytest reads `[` as the start of a test's parameters, also in the ids that `--lf` and `--sw` keep."""


class Broken(Exception):
    """An expectation that does not hold or cannot be evaluated. The text is the whole message."""


class ArchExpectation(pytest.Item):
    """An expectation, as a test."""

    def __init__(self, expect: Expect, evaluator: Evaluator, **more: Any) -> None:
        super().__init__(**more)
        self.expect, self.evaluator = expect, evaluator

    def runtest(self) -> None:
        from archcalc.diagnostics import ArchError, Diagnostic

        try:
            check = self.evaluator(self.expect)
        except ArchError as problem:
            raise Broken(str(problem)) from None
        if not check.held:
            raise Broken(Diagnostic(check.reason, self.expect.span).render())

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Broken):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        line, _ = self.expect.span.source.position(self.expect.span.start)
        # not the end of the id, where pytest would replace each point: `macs ~ 0::3K`
        return self.path, line - 1, f"{self.parent.name if self.parent else ''}, line {self.name}"


class Measured:
    """A network and its figures: every total is an attribute, such as `params`, `macs` or `depth`.

    `network` and `profile` are the network and all its quantities.
    """

    def __init__(self, network: Network, profile: Profile, folder: Path) -> None:
        self.network = network
        self.profile = profile
        self._folder = folder

    def __getattr__(self, name: str) -> int:
        __tracebackhide__ = True
        totals = self.profile.totals
        if name not in totals:
            raise AttributeError(f"a network has no total `{name}`; it has {', '.join(totals)}")
        return totals[name]

    def __repr__(self) -> str:
        return f"<{self.network.name}>"

    def check(self, *expectations: str) -> None:
        """Fail the test if any expectation does not hold. The syntax is that of `archcalc check --expect`.

        Files in ratios, `macs <= 0.5 * small.arch`, are relative to the test's file. Raises `ArchError`
        for text that is not an expectation.
        """
        __tracebackhide__ = True
        from archcalc.checking.bounds import parse_bounds
        from archcalc.checking.evaluate import Evaluator
        from archcalc.diagnostics import ArchError

        evaluator = Evaluator(self.profile)
        try:
            checks = [bound.check(evaluator) for bound in parse_bounds(expectations, folder=self._folder)]
        except ArchError as problem:
            raise ArchError(problem.diagnostics) from None
        reasons = [f"{self.network.name}: {check.reason}" for check in checks if not check.held]
        if reasons:
            pytest.fail("\n".join(reasons))


class Opener:
    """The value of the fixture, which opens networks. Paths are relative to `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return "archcalc"

    def __call__(
        self,
        net: str | torch.nn.Module | keras.Model,
        *shapes: tuple[int, ...],
        inputs: Mapping[str, tuple[int, ...]] | None = None,
        **overrides: Any,
    ) -> Measured:
        """The network that a `NET` means, with values for its parameters, and shapes for its inputs.

        A PyTorch module is followed by one shape per input. A Keras model needs shapes only if it leaves
        sizes open. Raises `ArchError`.
        """
        __tracebackhide__ = True
        from archcalc.checking.find import seen_from
        from archcalc.diagnostics import ArchError
        from archcalc.importing.keras_config import model as keras_model
        from archcalc.importing.torch_export.module import network_of
        from archcalc.opening import load
        from archcalc.profile import analyze

        try:
            if isinstance(net, str) and not shapes:
                network = load(seen_from(self._folder, net), overrides, inputs=inputs)
            elif keras_model.is_keras_model(net):
                network = keras_model.network_of(net, shapes)
            else:
                network = network_of(net, shapes)
        except ArchError as problem:
            raise ArchError(problem.diagnostics) from None
        return Measured(network, analyze(network), self._folder)


@pytest.fixture(scope="module")
def archcalc(request: pytest.FixtureRequest) -> Opener:
    """Open a network: `archcalc("vgg16").macs`, `archcalc("small.arch", width=2).check("params < 1M")`.

    The first argument is a built-in network, a file, or `file:net`; others are values for its parameters.
    Paths are relative to the folder of the test's file. A PyTorch module is followed by the shapes of its
    inputs: `archcalc(model, (3, 224, 224))`. A Keras model needs shapes only if it leaves sizes open.
    """
    return Opener(request.path.parent)
