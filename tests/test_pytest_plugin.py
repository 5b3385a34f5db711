"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from xml.etree import ElementTree

import pytest

pytest_plugins = ["pytester"]

# 3*8*8*2 + 2 = 386 parameters, 384 multiply-adds
NETS = """\
block unit(c) { conv(c, 3) -> relu }

net open_ended(n) { input(3x8x8)
  flatten -> fc(n)
}
net two = open_ended(2) {
  expect params == 386          "Table 1"
  expect params == 387
  expect macs ~ 0.3K
  expect params("fc2") > 5
}
net wide = open_ended(4) { expect params == 772 }
"""


@pytest.fixture
def pytester(pytester):
    """A folder with a spec; hypothesis and others stay out of its runs."""
    pytester.path.joinpath("nets.arch").write_text(NETS)
    return pytester


def run(pytester, *args):
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *args)


def test_the_plugin_is_installed_as_one():
    (point,) = entry_points(group="pytest11", name="archcalc")
    assert point.value == "archcalc.checking.pytest_plugin"


def test_each_expectation_is_a_test(pytester):
    result = run(pytester, "-v")
    result.assert_outcomes(passed=2, failed=3)
    result.stdout.fnmatch_lines(
        [
            "nets.arch::two::7: params == 386 PASSED*",
            "nets.arch::two::8: params == 387 FAILED*",
            "nets.arch::two::9: macs ~ 0.3K FAILED*",
            'nets.arch::two::10: params("fc2") > 5 FAILED*',
            "nets.arch::wide::12: params == 772 PASSED*",
        ]
    )


def test_a_failure_reads_well_and_shows_no_traceback(pytester):
    result = run(pytester)
    result.stdout.fnmatch_lines(
        [
            "*two, line 8: params == 387*",
            "error: params is 386, not 387",
            " --> nets.arch:8:3",
            "8 |   expect params == 387",
            "error: macs is 384, not ~ 0.3K (it holds if truncated)",
            "error: `two` has no node or block `fc2`",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_test_is_selected_by_its_name(pytester):
    run(pytester, "nets.arch::wide").assert_outcomes(passed=1)
    run(pytester, "nets.arch::two::7: params == 386").assert_outcomes(passed=1)
    run(pytester, "-k", "macs").assert_outcomes(failed=1)


@pytest.mark.parametrize("option", ["--lf", "--sw", "--ff"])
def test_what_failed_is_run_again(pytester, option):
    """pytest keeps the ids of what failed, from one run to the next."""
    cached = pytester.runpytest_subprocess
    pytester.path.joinpath("nets.arch").write_text(NETS.replace('"fc2"', '"[f]c*"'))
    cached().assert_outcomes(passed=3, failed=2)
    cached(option).assert_outcomes(
        **{
            "--lf": {"failed": 2, "deselected": 3},
            "--sw": {"passed": 1, "failed": 1},
            "--ff": {"passed": 3, "failed": 2},
        }[option]
    )
    # stepwise goes on where it stopped
    if option == "--sw":
        cached(option).assert_outcomes(failed=1, deselected=1)
    (name,) = (line for line in cached("--collect-only", "-q").stdout.lines if "::10" in line)
    assert name == 'nets.arch::two::10: params("(f)c*") > 5'
    cached(name).assert_outcomes(passed=1)


def test_broken_files_and_nets_are_errors_and_the_rest_runs(pytester):
    pytester.path.joinpath("broken.arch").write_text("net a { input(3x8x8)\n convv(3) }")
    pytester.path.joinpath("nets.arch").write_text(NETS + "net bad = open_ended(2.5) { expect params > 1 }\n")
    result = run(pytester, "--continue-on-collection-errors")
    result.assert_outcomes(passed=2, failed=3, errors=2)
    result.stdout.fnmatch_lines(["error: unknown layer or block `convv`", " --> broken.arch:2:2"])
    result.stdout.fnmatch_lines(["error: *needs a whole number of at least 1, got 2.5*"])
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_workers_and_junit(pytester):
    run(pytester, "-n", "2", "--junitxml=out.xml").assert_outcomes(passed=2, failed=3)
    root = ElementTree.parse(pytester.path / "out.xml").getroot()
    messages = [failure.get("message") for failure in root.iter("failure")]
    assert sorted(text.splitlines()[0] for text in messages) == [
        "error: `two` has no node or block `fc2`",
        "error: macs is 384, not ~ 0.3K (it holds if truncated)",
        "error: params is 386, not 387",
    ]


def test_it_can_be_turned_off(pytester):
    assert run(pytester, "-p", "no:archcalc").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    pytester.path.joinpath("conftest.py").write_text('collect_ignore_glob = ["*.arch"]')
    assert run(pytester).ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_the_fixture(pytester):
    pytester.path.joinpath("nets.arch").unlink()
    pytester.path.joinpath("small.arch").write_text(NETS.partition("net two")[0])
    pytester.makepyfile(
        """
        import pytest

        def test_totals(archcalc):
            vgg16 = archcalc("vgg16")
            assert vgg16.params == 138_357_544
            assert vgg16.macs <= 16e9
            assert vgg16.depth == 16
            assert vgg16.profile["stage1/conv1"].params == 1792
            assert vgg16.network.name == "vgg16"

        def test_overrides_and_inputs(archcalc):
            assert archcalc("small.arch", n=7).params == 192 * 7 + 7
            assert archcalc("small.arch", n=7, inputs={"input": (3, 4, 4)}).params == 48 * 7 + 7

        def test_check(archcalc):
            small = archcalc("small.arch", n=2)
            small.check("params == 386", "macs <= 0.5 * small.arch?n=4")
            with pytest.raises(pytest.fail.Exception):
                small.check("params == 387")

        def test_fails(archcalc):
            archcalc("small.arch", n=2).check("params > 1", "params == 387", "macs < 5")

        def test_wrong_net(archcalc):
            archcalc("vgg61")

        def test_wrong_expectation(archcalc):
            archcalc("vgg16").check("macs <")

        def test_wrong_total(archcalc):
            assert archcalc("vgg16").parms
        """
    )
    result = run(pytester)
    result.assert_outcomes(passed=3, failed=4)
    result.stdout.fnmatch_lines(
        [
            '>*archcalc("small.arch", n=2).check("params > 1", "params == 387", "macs < 5")',
            "*open_ended: params is 386, not 387",
            "*open_ended: macs is 384, not < 5",
            "test_the_fixture.py:22: Failed",
            "*there is no network `vgg61`",
            "*did you mean*`vgg16`?",
            "*expected a figure*",
            "*a network has no total `parms`*",
        ]
    )
    result.stdout.no_fnmatch_line("*library.py*")
    result.stdout.no_fnmatch_line("*bound.py*")


def test_paths_are_from_the_file_of_the_test(pytester):
    """Also in fixtures of a module, also for the network of a ratio; an absolute path is as it is."""
    folder = pytester.mkdir("tests")
    pytester.path.joinpath("nets.arch").rename(folder / "nets.arch")
    folder.joinpath("test_nets.py").write_text(
        f"""
import pytest

@pytest.fixture(scope="module")
def two(archcalc):
    return archcalc("nets.arch:two")

def test_two(two, archcalc):
    assert two.params == 386
    assert archcalc({str(folder / "nets.arch:wide")!r}).params == 772
    assert archcalc("../tests/nets.arch:open_ended?n=3").params == 192 * 3 + 3
    two.check("params <= 0.5 * nets.arch:wide", "params <= 0.01 * vgg16")
"""
    )
    for start in (pytester.path, folder):
        pytester.chdir()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "test_nets.py")],
            cwd=start, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "1 passed" in done.stdout, done.stdout


def test_nothing_is_loaded_before_it_is_needed():
    code = (
        "import sys, pytest; known = set(sys.modules)\n"
        "import archcalc.checking.pytest_plugin; print(*sorted(set(sys.modules) - known))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["archcalc", "archcalc.checking", "archcalc.checking.pytest_plugin"]


def test_a_run_without_specs_loads_nothing_heavy(pytester):
    pytester.path.joinpath("nets.arch").unlink()
    pytester.makepyfile(
        """
        import sys

        def test_modules():
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert not loaded & {"msgspec", "networkx", "numpy", "rich", "typer"}
            assert "archcalc.checking.pytest_plugin" in sys.modules
            assert "archcalc.diagnostics" not in sys.modules
        """
    )
    run(pytester, "-p", "no:hypothesispytest").assert_outcomes(passed=1)


def test_the_checkout_collects_none_of_its_own_specs(request):
    """Its broken examples in `tests/errors` are for the tests that read them."""
    folder = request.path.parent / "errors"
    assert any(folder.glob("*.arch"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(folder)],
        cwd=request.config.rootpath, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout
