"""The nineteen rules of the language page, each by small examples worked by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from archcalc.checking.evaluate import check, evaluate, holds, measure
from archcalc.diagnostics import ArchError, Source
from archcalc.language.loader import load_file, load_text
from archcalc.language.parser import parse_expectation
from archcalc.language.standalone import constant
from archcalc.network import Network
from archcalc.opening import loads
from archcalc.profile import analyze
from archcalc.readers.arch import missing_values, read_text


def network(body: str, above: str = "", **overrides: object) -> Network:
    """The net `small` with this body, over an input of 3x8x8."""
    return loads(f"{above}\nnet small {{\n  input(3x8x8)\n{body}\n}}\n", "small", overrides)


def paths(body: str, above: str = "") -> list[str]:
    """The paths of its layers."""
    return [node.name for node in network(body, above).layers]


def layers(body: str, above: str = "") -> list[str]:
    """Its layers, as one writes them."""
    return [str(node.layer) for node in network(body, above).layers]


def mistakes(text: str) -> list[str]:
    """The messages of what is wrong with a text or with its nets; none if it is right."""
    try:
        for net in load_text(text).nets.values():
            if not missing_values(net):
                loads(text, net.name)
    except ArchError as found:
        return [diagnostic.message for diagnostic in found.diagnostics]
    return []


def wrong(body: str, above: str = "") -> list[str]:
    """The messages of what is wrong with the net `small` with this body."""
    return mistakes(f"{above}\nnet small {{\n  input(3x8x8)\n{body}\n}}\n")


def value(text: str) -> object:
    return constant(text, "value")


def refused(text: str) -> str:
    """Why an expression has no value."""
    with pytest.raises(ArchError) as found:
        value(text)
    (diagnostic,) = found.value.diagnostics
    return diagnostic.message


# --- 1: one name space ------------------------------------------------------------------------------


def test_equals_binds_again():
    assert layers("c = 2\nc = c * 2\nconv(c, 1)") == ["conv(4, 1)"]


@pytest.mark.parametrize(
    "body", ["if true { c = 5 }", "repeat 1 { c = 5 }", "for i in [5] { c = i }", "{ c = 5 }"]
)
def test_binding_again_in_a_body_changes_the_outer_name(body):
    assert layers(f"c = 2\n{body}\nconv(c, 1)") == ["conv(5, 1)"]


def test_loop_carries_what_is_bound_again():
    assert layers("c = 1\nrepeat 3 {\n conv(c, 1)\n c = 2 * c\n}") == [
        "conv(1, 1)",
        "conv(2, 1)",
        "conv(4, 1)",
    ]


def test_binding_again_may_change_what_it_is():
    body = "x = 0\nfor i in range(3) {\n if i > 0 { add(x, identity) }\n x = identity\n relu\n}"
    assert paths(body) == ["relu1", "add1", "relu2", "add2", "relu3"]


def test_one_name_in_bodies_side_by_side():
    assert layers("if true { c = 2\n conv(c, 1) }\nif true { c = 3\n conv(c, 1) }") == [
        "conv(2, 1)",
        "conv(3, 1)",
    ]


@pytest.mark.parametrize(
    ("body", "above"),
    [
        ("x: relu\nx: relu", ""),
        ("x: relu\nx = 1", ""),
        ("x = 1\nx: conv(x, 1)", ""),
        ("x = 2\nfor x in range(2) { conv(x + 1, 1) }", ""),
        ("for i in range(2) { i = 3\n conv(i, 1) }", ""),
        ("for i in range(2) { for i in range(2) { conv(i + 1, 1) } }", ""),
        ("output x = relu\noutput x = tanh", ""),
        ("x = 1\nb(x)", "block b(x) { x = 2\n conv(x, 1) }"),
        ("b = 1\nconv(b, 1) -> b", "block b { relu }"),
    ],
)
def test_names_that_are_taken(body, above):
    assert any("is already in use" in message for message in wrong(body, above))


@pytest.mark.parametrize("name", ["relu", "channels", "identity", "input", "range", "sum"])
def test_names_of_the_language_are_taken(name):
    message = f"`{name}` is a built-in name"
    assert message in wrong(f"{name} = 1\nrelu")
    assert message in wrong(f"{name}: tanh")
    assert message in wrong("tanh", f"block {name} {{ tanh }}")
    assert message in wrong("b(1)", f"block b({name}) {{ tanh }}")


def test_a_parameter_may_be_called_as_elsewhere():
    assert layers("a(2)\nb(3)", "block a(c) { conv(c, 1) }\nblock b(c) { conv(c, 1) }") == [
        "conv(2, 1)",
        "conv(3, 1)",
    ]


# --- 2: definitions above their use, nothing of the caller ------------------------------------------


def test_nothing_of_the_caller_is_seen():
    assert wrong("c = 2\nconv(c, 1)\nb", "block b { conv(c, 1) }") == ["unknown name `c`"]


def test_the_current_tensor_is_seen():
    assert layers("conv(5, 1)\nb", "block b { conv(2 * channels, 1) }") == ["conv(5, 1)", "conv(10, 1)"]


def test_definitions_stand_above_their_use():
    assert wrong("b", "block b { d }\nblock d { relu }") == ["`d` is not defined yet"]
    assert wrong("b", "block b { b }") == ["`b` is used in its own definition"]
    assert wrong("conv(f(1), 1)", "fn f(x) = g(x)\nfn g(x) = x") == ["`g` is not defined yet"]


def test_a_function_sees_no_tensor():
    assert wrong("conv(f(1), 1)", "fn f(x) = x * channels") == [
        "`channels` reads the current tensor, but a function has none"
    ]
    assert wrong("x: relu\nconv(f(x), 1)", "fn f(x) = channels(x)") == [
        "a function needs values, not a tensor"
    ]


def test_a_block_takes_tensors():
    above = "block up(skip, c=channels(skip)) { add(conv(c, 1), skip) }"
    assert layers("skip = conv(5, 1)\nconv(7, 1)\nup(skip)", above)[-2:] == ["conv(5, 1)", "add"]


# --- 3: scopes --------------------------------------------------------------------------------------


def test_a_name_ends_with_its_body():
    for body in ("if true { c = 2 }", "repeat 1 { c = 2 }", "{ c = 2 }", "for c in [2] { relu }"):
        assert wrong(f"{body}\nconv(c, 1)") == ["`c` is not visible here"]


def test_a_loop_body_starts_afresh():
    body = "for i in range(2) {\n if i > 0 { conv(c, 1) }\n c = 2\n conv(c, 1)\n}"
    assert wrong(body) == ["`c` is not assigned yet"]


def test_names_are_resolved_where_nothing_is_called():
    assert wrong("relu", "block never { convolve(3) -> rlu }") == [
        "unknown layer or block `convolve`",
        "unknown layer or block `rlu`",
    ]
    assert wrong("if false { conv(c, 1) }\nrelu") == ["unknown name `c`"]


def test_what_is_never_used():
    assert wrong("b(1)", "block b(c) { relu }") == ["the parameter `c` is never used"]
    assert wrong("conv(f(1), 1)", "fn f(x) = 1") == ["the parameter `x` is never used"]
    assert wrong("c = 1\nrelu") == ["`c` is never used"]
    assert mistakes("net a(c=1) { input(3x8x8) -> relu }") == ["the parameter `c` is never used"]


def test_labels_and_loop_names_may_go_unread():
    assert paths("a: relu\nfor i, j in [[1, 2], [3, 4]] { tanh }") == ["a", "tanh1", "tanh2"]


# --- 4: imports -------------------------------------------------------------------------------------


def test_imports(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "common.arch").write_text(
        "fn double(x) = 2 * x\nblock wide(c) { conv(double(c), 1) }\n"
    )
    (tmp_path / "main.arch").write_text(
        'from "sub/common.arch" import wide, double\nnet a(c=2) {\n input(3x8x8)\n wide(double(c))\n}\n'
    )
    module = load_file(tmp_path / "main.arch")
    assert list(module.definitions) == ["a"]
    (tmp_path / "base.arch").write_text('from "main.arch" import a\nnet b = a(3)\n')
    (net,) = load_file(tmp_path / "base.arch").nets.values()
    assert not missing_values(net)


def test_imports_pass_nothing_on(tmp_path):
    (tmp_path / "one.arch").write_text("block one { relu }\n")
    (tmp_path / "two.arch").write_text('from "one.arch" import one\nblock two { one }\n')
    (tmp_path / "main.arch").write_text('from "two.arch" import one\nnet a {\n input(3x8x8)\n one\n}\n')
    with pytest.raises(ArchError, match=r"`two.arch` does not define `one`"):
        load_file(tmp_path / "main.arch")


# --- 5: values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1 * 30 == 3", True),
        ("0.1 + 0.2 == 0.3", True),
        ("1 / 3 * 3", 1),
        ("7 / 2", Fraction(7, 2)),
        ("6 / 2", 3),
        ("7 // 2", 3),
        ("-7 // 2", -4),
        ("7 // -2", -4),
        ("7 % 3", 1),
        ("-7 % 3", 2),
        ("7 % -3", -2),
        ("7.5 // 2", 3),
        ("7.5 % 2", Fraction(3, 2)),
        ("-0.5 // 1", -1),
        ("2 ** 10", 1024),
        ("2 ** -1", Fraction(1, 2)),
        ("-2 ** 2", -4),
        ("(-2) ** 2", 4),
        ("2 ** 3 ** 2", 512),
        ("0.5 ** 2", Fraction(1, 4)),
        ("0 ** 0", 1),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("10 - 3 - 2", 5),
        ("100 / 10 / 5", 2),
        ("--2", 2),
        ("1.8e9", 1_800_000_000),
        ("1e-3", Fraction(1, 1000)),
        ("138_357_544", 138_357_544),
        ("0.75 == 3 / 4", True),
        ("1 == 1.0", True),
        ("1 < 2 and 2 < 3", True),
        ("not true or true", True),
        ("not 1 == 2", True),
        ("true or false and false", True),
        ("false and 1 / 0 == 1", False),
        ("true or 1 / 0 == 1", True),
        ('"a" == "a"', True),
        ('"a" != "b"', True),
        ("true != false", True),
        ("[1, 2] == [1, 2]", True),
        ("[1, 2] == [2, 1]", False),
        ("[1, 2] == 1x2", True),
        ("3x224x224", (3, 224, 224)),
        ("0x3", (0, 3)),
        ("[]", ()),
        ("[1, [2, 3],]", (1, (2, 3))),
        (r'"a \" and \\"', 'a " and \\'),
    ],
)
def test_values(text, expected):
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2.5", 3), ("3.5", 4), ("-2.5", -2), ("2.4", 2), ("2.49999999999999999999", 2), ("0.5", 1), ("7", 7)],
)
def test_round_goes_half_up(text, expected):
    assert value(f"round({text})") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("true + 1", "`+` does not accept a truth value and a number"),
        ("true + true", "`+` does not accept two truth values"),
        ('"a" == 1', "`==` cannot compare a string with a number"),
        ("true == 1", "`==` cannot compare a truth value with a number"),
        ("[1] == 1", "`==` cannot compare a list with a number"),
        ('"a" + "b"', "`+` does not accept two strings"),
        ("[1] * 2", "`*` does not accept a list and a number"),
        ('"a" < "b"', "`<` does not accept two strings"),
        ("true < false", "`<` does not accept two truth values"),
        ("2 ** 0.5", "the exponent of `**` must be a whole number, got 0.5"),
        ("1 / 0", "division by zero"),
        ("1 // 0", "division by zero"),
        ("1 % 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("-true", "`-` needs a number, not a truth value"),
        ("not 1", "a condition must be true or false, not a number"),
        ("1 and true", "a condition must be true or false, not a number"),
        ("true and 1", "a condition must be true or false, not a number"),
        ("1 < 2 < 3", "expected one comparison, found `<`"),
    ],
)
def test_values_do_not_mix(text, message):
    assert refused(text) == message


def test_no_arithmetic_on_tensors():
    text = "net a {\n  x: input(3x8x8)\n  y = relu\n  x + y\n}"
    with pytest.raises(ArchError, match=r"write `add\(x, y\)`"):
        loads(text)
    assert wrong("x: relu\ny: tanh\nb(x, y)", "block b(x, y) {\n z = x * y\n z -> relu\n}") == [
        "`*` computes with numbers, not tensors"
    ]


# --- 6: functions and lists -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("floor(2.7)", 2),
        ("floor(-2.7)", -3),
        ("ceil(2.1)", 3),
        ("ceil(-2.1)", -2),
        ("min(3, 1, 2)", 1),
        ("min([3, 1, 2])", 1),
        ("max(0.5, 1 / 3)", Fraction(1, 2)),
        ("sum([1, 2, 0.5])", Fraction(7, 2)),
        ("sum([])", 0),
        ("len([1, [2, 3]])", 2),
        ("len(3x224x224)", 3),
        ("range(3)", (0, 1, 2)),
        ("range(1, 4)", (1, 2, 3)),
        ("range(5, 0, -2)", (5, 3, 1)),
        ("range(0)", ()),
        ("enumerate([5, 6])", ((0, 5), (1, 6))),
        ("zip([1, 2], [3, 4])", ((1, 3), (2, 4))),
        ("[1, 2, 3][0]", 1),
        ("[1, 2, 3][-1]", 3),
        ("[[1, 2], [3]][0][1]", 2),
        ("[1] + [2, 3] + []", (1, 2, 3)),
        ("3x224x224[1]", 224),
    ],
)
def test_functions_and_lists(text, expected):
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2][2]", "the index 2 is outside a list of 2"),
        ("[1, 2][-3]", "the index -3 is outside a list of 2"),
        ("[1, 2][0.5]", "an index must be a whole number, got 0.5"),
        ("[1, 2][true]", "an index must be a whole number, got a truth value"),
        ("3[0]", "only a list can be indexed, not a number"),
        ("range(1.5)", "`range` needs a whole number, got 1.5"),
        ("range(1, 5, 0)", "the step of `range` is zero"),
        ("min([])", "`min` of an empty list"),
        ('max(1, "a")', "`max` needs numbers, got a string"),
        ("sum(3)", "`sum` needs a list, got a number"),
        ("len(3)", "`len` needs a list, got a number"),
        ("floor(true)", "`floor` needs numbers, got a truth value"),
        ("zip([1], [2, 3])", "`zip` needs lists of equal length, got 1, 2"),
        ("floor(1, 2)", "`floor` takes 1 argument, got 2"),
        ("range()", "`range` takes 1 to 3 arguments, got 0"),
        ("zip([1])", "`zip` takes 2 or more arguments, got 1"),
        ("floor(x=1)", "`floor` takes its arguments by position"),
    ],
)
def test_functions_refuse(text, message):
    assert refused(text) == message


def test_a_loop_takes_rows_apart():
    assert layers("for c, k in [[2, 1], [4, 3]] { conv(c, k) }") == ["conv(2, 1)", "conv(4, 3)"]
    body = "for i, row in enumerate([[2, 1], [4, 3]]) { conv(row[0] + i, row[1]) }"
    assert layers(body) == ["conv(2, 1)", "conv(5, 3)"]
    assert wrong("for c, k in [[2, 1], [4]] { conv(c, k) }") == [
        "a row has 1 value, but the loop has 2 names"
    ]
    assert wrong("for c, k in [2, 4] { conv(c, k) }") == ["a row is a number, not a list of 2 values"]
    assert wrong("rows = [[4, 1], [2]]\nfor c, k in rows { conv(c, k) }") == [
        "the row at index 1 has 1 value, but the loop has 2 names"
    ]
    assert wrong("for c in 3 { conv(c, 1) }") == ["a loop needs a list, not a number"]


def test_lists_hold_tensors_and_a_join_takes_one():
    body = "x = [identity]\nrepeat 3 {\n x = x + [conv(2, 1)]\n}\nconcat(x)"
    assert network(body)["concat1"].shape == (3 + 3 * 2, 8, 8)
    assert paths("concat([relu, tanh, sigmoid])") == ["relu1", "tanh1", "sigmoid1", "concat1"]
    assert network("x = [relu, conv(5, 1)]\nconcat(x[0], x[1])")["concat1"].shape == (8, 8, 8)
    assert network("x = [relu]\ny = [conv(5, 1)]\nconcat(x + y)")["concat1"].shape == (8, 8, 8)
    assert network("x = [relu, tanh]\nconcat(x if true else x + x)")["concat1"].shape == (6, 8, 8)
    assert network("x = [[relu, tanh]]\nconcat(x[0])")["concat1"].shape == (6, 8, 8)


def test_a_block_takes_a_list_of_tensors():
    assert network("b([relu, tanh])", "block b(x) { concat(x) }")["b1/concat1"].shape == (6, 8, 8)
    assert wrong("b([relu, 3])", "block b(x) { concat(x) }") == ["`concat` needs tensors, not a number"]
    assert wrong("b([relu])", "block b(x) { concat(x) }") == ["`concat` needs two tensors or more, got 1"]


# --- 7: choices -------------------------------------------------------------------------------------


def test_choices():
    assert value("1 if true else 2") == 1
    assert value("1 if false else 2 if false else 3") == 3
    assert value("1 if true else 1 / 0") == 1
    assert refused("1 if 1 else 2") == "a condition must be true or false, not a number"


def test_choices_are_never_between_tensors():
    message = "`a if c else b` chooses between values, not layers or tensors"
    assert wrong("conv(2, 1) -> bn if true else identity") == [message]
    assert wrong("x = relu if true else tanh\nx -> bn") == [message]
    assert wrong("x: relu\ny: tanh\nb(x, y)", "block b(x, y) {\n z = x if true else y\n z -> relu\n}") == [
        "`a if c else b` chooses between values, not tensors"
    ]


def test_layers_are_chosen_by_statements():
    body = "if {} {{ relu }} else if {} {{ tanh }} else {{ sigmoid }}"
    assert paths(body.format("true", "true")) == ["relu1"]
    assert paths(body.format("false", "1 < 2")) == ["tanh1"]
    assert paths(body.format("false", "false")) == ["sigmoid1"]
    assert wrong("if 1 { relu }") == ["a condition must be true or false, not a number"]
    assert wrong('if "yes" { relu }') == ["a condition must be true or false, not a string"]


# --- 8: arguments and defaults ----------------------------------------------------------------------


def test_arguments_by_position_then_by_name():
    assert layers("conv(2, 3, padding=1)\nconv(2, padding=1, kernel_size=3)") == ["conv(2, 3, padding=1)"] * 2
    assert wrong("conv(out_channels=2, 3)") == ["an argument by position follows an argument by name"]
    assert wrong("conv(2, 3, out_channels=2)") == ["the argument `out_channels` of `conv` is given twice"]


def test_defaults_see_earlier_parameters():
    above = "block b(c, d=2 * c, e=c + d) { conv(c, 1) -> conv(d, 1) -> conv(e, 1) }"
    assert layers("b(1)", above) == ["conv(1, 1)", "conv(2, 1)", "conv(3, 1)"]
    assert layers("b(1, e=9)", above) == ["conv(1, 1)", "conv(2, 1)", "conv(9, 1)"]
    assert layers("b(1, 5)", above) == ["conv(1, 1)", "conv(5, 1)", "conv(6, 1)"]
    assert wrong("b(1)", "block b(c=d, d=1) { conv(c, d) }") == ["`d` is not assigned yet"]
    assert value_of("f(1)", "fn f(a, b=10 * a) = a + b") == 11


def value_of(expression: str, above: str) -> int:
    """The value of an expression of a net."""
    (layer,) = network(f"conv({expression}, 1)", above).layers
    return layer.shape[0]


def test_defaults_see_the_current_tensor_of_the_call():
    above = "block b(c=channels, s=size[0]) { conv(c, 1) -> upsample(2 * s) }"
    assert layers("conv(5, 3)\nb\nb(2)", above) == [
        "conv(5, 3)",
        "conv(5, 1)",
        "upsample(size=12)",
        "conv(2, 1)",
        "upsample(size=24)",
    ]


def test_defaults_compute_values():
    assert wrong("b", "block b(x=relu) { x -> tanh }") == [
        "`relu` adds layers, which are not allowed here: a default must be a value"
    ]
    assert wrong("b", "block b(x=identity) { x -> tanh }") == [
        "`identity` is a tensor, which is not allowed here: a default must be a value"
    ]
    assert wrong("b", "block b(x={ relu }) { x -> tanh }") == [
        "layers are not allowed here: a default must be a value"
    ]


def test_a_mistake_in_a_default_says_which_call():
    with pytest.raises(ArchError) as found:
        network("b(0)", "block b(c, d=1 / c) { conv(c, d) }")
    (diagnostic,) = found.value.diagnostics
    assert [note.message for note in diagnostic.notes] == ["in a call of `b`"]


def test_evaluation_in_the_order_of_reading():
    above = "block b(x, y) { add(x, y) }"
    body = "b(y=conv(3, 1), x=conv(3, 3, padding=1))\nadd(conv(3, 1), { relu } -> conv(3, 1), conv(3, 1))"
    found = network(body, above)
    assert [node.name for node in found.layers] == [
        "conv1", "conv2", "b1/add1", "conv3", "relu1", "conv4", "conv5", "add1",
    ]  # fmt: skip
    assert [node.name for node in found["b1/add1"].inputs] == ["conv2", "conv1"]


def test_arguments_are_evaluated_at_the_tensor_that_flows_in():
    found = network("conv(4, 1)\nadd(conv(4, 1) -> bn, identity)\nconv(channels * 2, 1)")
    assert [node.name for node in found["conv2"].inputs] == ["conv1"]
    assert [node.name for node in found["add1"].inputs] == ["bn1", "conv1"]
    assert found["conv3"].shape == (8, 8, 8)


# --- 9: joins ---------------------------------------------------------------------------------------


def test_joins_take_the_current_tensor_only_if_written():
    found = network("x: relu\ntanh\nadd(x, identity)")
    assert [node.name for node in found["add1"].inputs] == ["x", "tanh1"]
    assert wrong("x: relu\ntanh\nadd(x)") == ["`add` needs two tensors or more"]
    assert wrong("relu -> add") == ["`add` needs two tensors or more"]


def test_joins_stretch_axes_of_size_1():
    gate = "mul(identity, global_avgpool)"
    for kind in ("mul", "add", "sub", "div"):
        assert network(gate.replace("mul", kind))[f"{kind}1"].shape == (3, 8, 8)
    assert wrong(gate.replace("mul", "concat")) == [
        "`concat` needs tensors that differ only in their channels"
    ]
    assert wrong("mul(identity, conv(2, 1))") == ["`mul` needs equal shapes, or axes of size 1"]


# --- 10: defaults of layers -------------------------------------------------------------------------


def test_layer_arguments_left_out():
    assert network("maxpool(2)")["maxpool1"].shape == (3, 4, 4)
    assert network("maxpool(3, 1)")["maxpool1"].shape == (3, 6, 6)
    assert wrong("maxpool(2, none)") == ["unknown name `none`"]


def test_layers_of_equal_values_are_not_mixed_up():
    assert layers("conv(1, [1, 1])\nconv(1, 1x1)") == ["conv(1, 1x1)"] * 2
    assert len(wrong("conv(1, [1, 1])\nconv(1, [1, true])")) == 1
    assert len(wrong("conv(1, 1)\nconv(true, 1)")) == 1


# --- 11: parameters and sharing ---------------------------------------------------------------------

HEAD = "block head(k) { conv(3, k, padding=k // 2) -> bn }\n"


def test_each_call_has_its_own_parameters():
    assert analyze(network("head(3)\nhead(3)", HEAD)).totals.params == 2 * (3 * 3 * 9 + 3 + 2 * 3)


def test_calls_of_a_shared_block_share_by_path():
    found = network("head(3)\nrelu\nx: head(3)", "shared " + HEAD)
    assert analyze(found).totals.params == 3 * 3 * 9 + 3 + 2 * 3
    assert [(node.name, node.shares and node.shares.name) for node in found.layers] == [
        ("head1/conv1", None),
        ("head1/bn1", None),
        ("relu1", None),
        ("x/conv1", "head1/conv1"),
        ("x/bn1", "head1/bn1"),
    ]


def test_sharing_reaches_the_blocks_inside():
    above = "block cbr(c) { conv(c, 1) -> relu }\nshared block two(n) { repeat n { cbr(3) } }\n"
    found = network("two(1)\ntwo(2)", above)
    assert found["two2/cbr1/conv1"].shares is found["two1/cbr1/conv1"]
    assert found["two2/cbr2/conv1"].shares is None
    assert analyze(found).totals.params == 2 * (3 * 3 + 3)


def test_a_shared_block_inside_another_block():
    above = "shared block head { conv(3, 1) }\nblock branch(a) { if a { relu }\n head }\n"
    found = network("branch(true)\nbranch(false)\nhead", above)
    assert analyze(found).totals.params == 3 * 3 + 3


def test_shared_shapes_must_be_equal():
    above = "shared block head(c) { conv(c, 3, padding=1) }\n"
    assert wrong("head(3)\nhead(4)", above) == [
        "calls of a shared block need equal parameters, but those of `conv1` differ"
    ]
    assert wrong("head(4)\nhead(4)", above) == [
        "calls of a shared block need equal parameters, but those of `conv1` differ"
    ]


# --- 12: inputs and results -------------------------------------------------------------------------


def test_inputs():
    found = loads("net a {\n  left: input(3x8x8)\n  input(5x8x8)\n  concat(left, identity)\n}")
    assert {name: node.shape for name, node in found.inputs.items()} == {
        "left": (3, 8, 8),
        "input": (5, 8, 8),
    }
    assert found["concat1"].shape == (8, 8, 8)
    assert mistakes("net a {\n  input(3x8x8)\n  x = relu\n  input(3x8x8)\n  add(x, identity)\n}") == [
        "there is already an input `input`"
    ]


def test_shapes_of_inputs():
    assert loads("net a {\n  input(7)\n  fc(2)\n}")["fc1"].shape == (2,)
    assert loads("net a(n=4) {\n  input([1, n, 2 * n])\n  relu\n}")["relu1"].shape == (1, 4, 8)
    assert loads("net a {\n  input(2x9)\n  conv(4, 3)\n}")["conv1"].shape == (4, 7)
    assert loads("net a {\n  input(2x9x9x9)\n  conv(4, 3)\n}")["conv1"].shape == (4, 7, 7, 7)


def test_results():
    found = network("a: relu\noutput mid = conv(2, 1)\naux side = global_avgpool -> flatten -> fc(7)\ntanh")
    assert {name: node.name for name, node in found.outputs.items()} == {"mid": "conv1", "output": "tanh1"}
    assert {name: node.name for name, node in found.heads.items()} == {"side": "fc1"}
    assert [node.name for node in found.layers if node.training] == ["global_avgpool1", "flatten1", "fc1"]
    assert [node.name for node in found["tanh1"].inputs] == ["a"]
    assert analyze(found).totals.params == 3 * 2 + 2
    assert analyze(found, heads=True).totals.params == 3 * 2 + 2 + 3 * 7 + 7


def test_every_layer_reaches_a_result():
    assert wrong("x = conv(2, 1)\nif channels(x) == 2 { relu }") == ["nothing uses the result of `conv1`"]
    assert mistakes("net a {\n  left: input(3x8x8)\n  input(3x8x8)\n  relu\n}") == [
        "nothing uses the input `left`"
    ]
    assert wrong("x: relu\nother: input(3x4x4)\ntanh") == ["nothing uses the result of `x`"]
    assert paths("x = conv(2, 1)\noutput y = x\nrelu") == ["conv1", "relu1"]
    assert paths("x = conv(2, 1)\naux y = x\nrelu") == ["conv1", "relu1"]


def test_inputs_and_results_stand_in_nets_only():
    assert wrong("b", "block b { input(3x8x8) -> relu }") == ["`input` is only allowed in nets"]
    assert wrong("b", "block b { output x = relu\n tanh }") == ["`output` is only allowed in nets"]
    assert wrong("b", "block b { aux x = relu\n tanh }") == ["`aux` is only allowed in nets"]
    assert wrong("b", "block b { relu\n expect params == 0 }") == ["`expect` is only allowed in nets"]


# --- 13: variants -----------------------------------------------------------------------------------

BASE = "net base(c, d=2 * c, n=1) {\n  input(3x8x8)\n  repeat n { conv(c, 1) -> conv(d, 1) }\n}\n"


def variant(line: str, name: str, **overrides: object) -> list[str]:
    return [str(node.layer) for node in loads(BASE + line, name, overrides).layers]


def test_variants():
    assert variant("net a = base(3)", "a") == ["conv(3, 1)", "conv(6, 1)"]
    assert variant("net a = base(c=3, d=1)", "a") == ["conv(3, 1)", "conv(1, 1)"]
    assert variant("net a = base(3)\nnet b = a(d=5)", "b") == ["conv(3, 1)", "conv(5, 1)"]
    assert variant("net a = base(3)\nnet b = a(c=4)", "b") == ["conv(4, 1)", "conv(8, 1)"]
    assert variant("net a = base(3, n=2)\nnet b = a(c=4)\nnet c = b(n=1)", "c") == [
        "conv(4, 1)",
        "conv(8, 1)",
    ]
    assert variant("net a = base(3)", "a", c=5) == ["conv(5, 1)", "conv(10, 1)"]
    assert variant("net a = base(3, d=7)", "a", c=5) == ["conv(5, 1)", "conv(7, 1)"]
    assert variant("", "base", c=4) == ["conv(4, 1)", "conv(8, 1)"]


def test_values_of_variants():
    above = "fn double(x) = 2 * x\n"
    assert [node.shape[0] for node in loads(above + BASE + "net a = base(double(2))", "a").layers] == [4, 8]
    assert mistakes(BASE + "net a = base(relu)") == [
        "`relu` adds layers, which are not allowed here: a net's parameter must be a value"
    ]
    assert mistakes(BASE + "net a = base(channels)") == [
        "`channels` reads the current tensor, but this place has none"
    ]
    assert mistakes(BASE + "net a = base(c=1, d=c)") == ["unknown name `c`"]


def test_variants_refuse():
    assert mistakes(BASE + "net a = base(1, 2, 3, 4)") == ["`base` has 3 parameters"]
    assert mistakes(BASE + "net a = base(1, e=2)") == ["`base` has no parameter `e`"]
    assert mistakes(BASE + "net a = base(1, c=2)") == ["the parameter `c` is given twice"]
    assert mistakes(BASE + "net a = base(1)\nnet b = a(2)") == [
        "`a` is a variant, so its parameters must be given by name"
    ]
    assert mistakes(BASE + "net a = base(1) { relu }") == [
        "a variant's body can only contain `expect`, `written`, and `see` lines"
    ]
    assert mistakes("block b { relu }\nnet a = b") == ["`b` is not a net"]


def test_which_nets_can_be_reported():
    nets = read_text(BASE + "net a = base\nnet b = base(3)\nnet c = a(c=3)\nnet d = base(n=2)")
    assert {net.name: net.missing for net in nets} == {
        "base": ("c",), "a": ("c",), "b": (), "c": (), "d": ("c",),
    }  # fmt: skip
    assert all(net.siblings == ("b", "c") for net in nets)
    with pytest.raises(ArchError, match="the parameter `c` of `a` has no value"):
        loads(BASE + "net a = base", "a")


# --- 14: expectations speak of their net ------------------------------------------------------------


def test_expectations_are_not_inherited():
    text = "net a(c=2) {\n  input(3x8x8)\n  conv(c, 1)\n  expect params == 8\n}\n"
    text += "net b = a(c=3) { expect params == 12 }\n"
    for name, figure in (("a", "8"), ("b", "12")):
        (result,) = check(analyze(loads(text, name)))
        assert (result.held, result.expect.figure.text) == (True, figure)
    assert check(analyze(loads(text + "net c = b", "c"))) == []


def test_overrides_leave_expectations_unchecked():
    text = "net a(c=2) {\n  input(3x8x8)\n  conv(c, 1)\n  expect params == 8\n}\n"
    found = loads(text, "a", {"c": 5})
    assert found.overridden
    assert len(found.expectations) == 1
    assert check(analyze(found)) == []
    assert loads(text, "a", inputs={"input": (3, 4, 4)}).overridden
    assert not loads(text).overridden


def test_expectations_need_a_value_for_every_parameter():
    assert mistakes("net a(c) {\n  input(3x8x8)\n  conv(c, 1)\n  expect params == 8\n}\n") == [
        "`expect` in a net without a default for `c`"
    ]
    assert mistakes(BASE + "net a = base { expect params == 8 }") == [
        "`expect` in a variant without a value for `c`"
    ]


# --- 15: paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # by kind and counter
        ("conv(2, 1) -> relu\nconv(2, 1) -> relu -> bn", ["conv1", "relu1", "conv2", "relu2", "bn1"]),
        # the counter counts labelled ones, too
        ("a: conv(2, 1)\nconv(2, 1)\nb: conv(2, 1)\nconv(2, 1)", ["a", "conv2", "b", "conv4"]),
        # after a digit the counter is set off
        ("relu6 -> relu6\nx: relu6\nrelu6", ["relu6_1", "relu6_2", "x", "relu6_4"]),
        # a label on several steps, or on a body, reduces  to a group, with countersits own
        ("C5: conv(2, 1) -> tanh\nconv(2, 1) -> tanh", ["C5/conv1", "C5/tanh1", "conv1", "tanh1"]),
        ("conv(2, 1)\nC5: { conv(2, 1)\n tanh }\nconv(2, 1)", ["conv1", "C5/conv1", "C5/tanh1", "conv2"]),
        ("C5: { a: conv(2, 1) }", ["C5/a"]),
        ("C5: { a: conv(2, 1) -> relu }", ["C5/a/conv1", "C5/a/relu1"]),
        # a label in a loop of its group takes a counter
        ("repeat 2 { a: relu }", ["a1", "a2"]),
        ("repeat 2 { c1: relu }", ["c1_1", "c1_2"]),
        ("repeat 2 { stage: { relu } }", ["stage1/relu1", "stage2/relu1"]),
        ("repeat 2 { stage: { a: relu } }", ["stage1/a", "stage2/a"]),
        ("stage: { repeat 2 { a: relu } }", ["stage/a1", "stage/a2"]),
        ("repeat 2 { g: { repeat 2 { a: relu } } }", ["g1/a1", "g1/a2", "g2/a1", "g2/a2"]),
        ("for i in range(2) { if i > 0 { a: relu } else { b: tanh } }", ["b1", "a1"]),
        ("repeat 2 { repeat 2 { a: relu } }", ["a1", "a2", "a3", "a4"]),
        ("repeat 2 { { a: relu } }", ["a1", "a2"]),
        ("repeat 2 { a: relu -> tanh }", ["a1/relu1", "a1/tanh1", "a2/relu1", "a2/tanh1"]),
        # a loop counts on by itself
        ("repeat 3 { conv(2, 1) }\nconv(2, 1)", ["conv1", "conv2", "conv3", "conv4"]),
        # `=`, `if`, `for` and anonymous blocks leave no trace
        ("x = conv(2, 1) -> relu\nx -> tanh", ["conv1", "relu1", "tanh1"]),
        ("if true { conv(2, 1) }\nfor i in [1] { conv(2, i) }\n{ conv(2, 1) }", ["conv1", "conv2", "conv3"]),
        # reading order, arguments before the call
        ("add(conv(3, 1) -> relu, conv(3, 1))", ["conv1", "relu1", "conv2", "add1"]),
        ("concat({ a: relu }, { b: tanh })", ["a", "b", "concat1"]),
        # a label on a tensor names it once more, and no node
        ("x: relu\ny: x\nadd(x, y)", ["x", "add1"]),
        ("output mid = conv(2, 1)\nconv(2, 1)", ["conv1", "conv2"]),
    ],
)  # fmt: skip
def test_paths(body, expected):
    assert paths(body) == expected


BLOCKS = """
block cbr(c) { conv(c, 1) -> bn -> relu }
block stage(c, n) { repeat n { cbr(c) } }
block named(c) { main: conv(c, 1) }
block b2 { relu }
block outer(x) { add(x, b2) }
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("cbr(2)", ["cbr1/conv1", "cbr1/bn1", "cbr1/relu1"]),
        ("x: cbr(2)\ncbr(2)", ["x/conv1", "x/bn1", "x/relu1", "cbr2/conv1", "cbr2/bn1", "cbr2/relu1"]),
        ("named(2)\nnamed(2)", ["named1/main", "named2/main"]),
        ("repeat 2 { named(2) }", ["named1/main", "named2/main"]),
        ("repeat 2 { x: named(2) }", ["x1/main", "x2/main"]),
        ("x: { named(2)\n named(2) }", ["x/named1/main", "x/named2/main"]),
        ("b2 -> b2", ["b2_1/relu1", "b2_2/relu1"]),
        ("outer(relu)", ["relu1", "outer1/b2_1/relu1", "outer1/add1"]),
        (
            "stage(2, 2)",
            [f"stage1/cbr{n}/{kind}1" for n in (1, 2) for kind in ("conv", "bn", "relu")],
        ),
        (
            "conv1: cbr(2) -> b2",
            ["conv1/cbr1/conv1", "conv1/cbr1/bn1", "conv1/cbr1/relu1", "conv1/b2_1/relu1"],
        ),
    ],
)
def test_paths_of_blocks(body, expected):
    assert paths(body, BLOCKS) == expected


def test_groups():
    found = network("conv1: cbr(2) -> b2\nstage(2, 1)\nrepeat 2 { g: { relu } }", BLOCKS)
    assert [(group.name, group.kind, group.stop - group.start) for group in found.groups] == [
        ("conv1", "group", 4),
        ("conv1/cbr1", "cbr", 3),
        ("conv1/b2_1", "b2", 1),
        ("stage1", "stage", 3),
        ("stage1/cbr1", "cbr", 3),
        ("g1", "group", 1),
        ("g2", "group", 1),
    ]
    assert found["stage1"].name == "stage1/cbr1/relu1"
    assert [node.name for node in found.select("g1")] == ["g1/relu1"]


@pytest.mark.parametrize(
    "body",
    [
        "conv2: conv(2, 1)\nconv(2, 1)",
        "conv(2, 1)\nif true { conv1: relu }",
        "conv1: conv(2, 1) -> relu\nconv(2, 1)",
        "if true { a: relu }\nif true { a: relu }",
        "if true { a: relu }\nif true { a: relu -> tanh }",
        "repeat 2 { a: relu }\na1: relu",
        "stage1: relu -> tanh\nrepeat 1 { stage: { relu } }",
    ],
)
def test_two_nodes_of_one_path(body):
    assert [message.partition(" `")[0] for message in wrong(body)] == ["two nodes have the path"]


# --- 16: quantities ---------------------------------------------------------------------------------


def measured(text: str, body: str) -> object:
    expect = parse_expectation(Source("expect", text))
    found = analyze(network(body), heads=expect.training)
    return measure(found, expect.quantity, expect.path)


def test_quantities():
    body = "stem: conv(4, 3) -> bn -> relu\nconv(2, 1)\naux side = global_avgpool -> flatten -> fc(7)"
    conv1, conv2, head = 3 * 4 * 9 + 4, 4 * 2 + 2, 2 * 7 + 7
    assert measured("params == 0", body) == conv1 + 8 + conv2
    assert measured('params("stem") == 0', body) == conv1 + 8
    assert measured('params("stem/conv1") == 0', body) == conv1
    assert measured('params("conv1") == 0', body) == conv2
    assert measured("params(training=true) == 0", body) == conv1 + 8 + conv2 + head
    assert measured("macs == 0", body) == 36 * 3 * 4 * 9 + 36 * 4 * 2
    assert measured("weighted_layers == 0", body) == 2
    assert measured("depth == 0", body) == 2
    assert measured('shape("stem") == 1x1', body) == (4, 6, 6)
    assert measured("shape == 1x1", body) == (2, 6, 6)
    with pytest.raises(ArchError, match="`small` has no node or block `stam`"):
        measured('params("stam") == 0', body)


# --- 17: figures that are rounded -------------------------------------------------------------------


def held(text: str, figure: int | Fraction | str) -> bool:
    expect = parse_expectation(Source("expect", text))
    return holds(Fraction(figure), expect)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("params ~ 138M", "137.5e6", "138.5e6"),
        ("params ~ 4.20M", "4.195e6", "4.205e6"),
        ("params ~ 4.2M", "4.15e6", "4.25e6"),
        ("macs ~ 1.8e9", "1.75e9", "1.85e9"),
        ("macs ~ 1.80e9", "1.795e9", "1.805e9"),
        ("params ~ 4096", "4095.5", "4096.5"),
        ("params ~ 60M", "59.5e6", "60.5e6"),
        ("params ~ 6e7", "5.5e7", "6.5e7"),
        ("macs ~ 0.39G", "0.385e9", "0.395e9"),
        ("params ~ 12_000", "11999.5", "12000.5"),
        ("params ~ 1.5T", "1.45e12", "1.55e12"),
        ("param_bytes ~ 1KiB", 512, 1536),
        ("param_bytes ~ 1.5MB", "1.45e6", "1.55e6"),
    ],
)
def test_about_means_rounds_half_up(text, low, high):
    low, high = Fraction(low), Fraction(high)
    tiny = Fraction(1, 10**9)
    assert held(text, low)
    assert held(text, (low + high) / 2)
    assert held(text, high - tiny)
    assert not held(text, low - tiny)
    assert not held(text, high)


def test_within_takes_both_ends():
    assert held("params within 2% of 1000", 980)
    assert held("params within 2% of 1000", 1020)
    assert not held("params within 2% of 1000", 979)
    assert not held("params within 2% of 1000", 1021)
    assert held("macs within 0.5% of 1.8G", "1.809e9")
    assert not held("macs within 0.5% of 1.8G", "1.8090001e9")


@pytest.mark.parametrize(
    ("relation", "below", "equal", "above"),
    [("==", 0, 1, 0), ("<", 1, 0, 0), ("<=", 1, 1, 0), (">", 0, 0, 1), (">=", 0, 1, 1)],
)
def test_relations(relation, below, equal, above):
    text = f"params {relation} 1000"
    assert [held(text, 999), held(text, 1000), held(text, 1001)] == [below, equal, above]


def test_figures_that_are_cut_off_do_not_hold():
    found = analyze(network("conv(10, 1) -> flatten"))  # 40 parameters, 1,920 multiplications
    cut = evaluate(parse_expectation(Source("expect", "macs ~ 1.8K")), found)
    assert (cut.held, cut.cut) == (False, False)
    cut = evaluate(parse_expectation(Source("expect", "macs ~ 1K")), found)
    assert (cut.held, cut.cut) == (False, True)
    assert cut.reason.endswith("(it holds if truncated)")
    assert evaluate(parse_expectation(Source("expect", "macs ~ 2K")), found).held


# --- 18: units --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ("1K", 10**3),
        ("1.5M", 1_500_000),
        ("2G", 2 * 10**9),
        ("0.5T", 5 * 10**11),
        ("1KB", 1000),
        ("1MB", 10**6),
        ("1GB", 10**9),
        ("1KiB", 1024),
        ("1MiB", 1024**2),
        ("0.5GiB", 2**29),
        ("1e3K", 10**6),
    ],
)
def test_units(figure, expected):
    quantity = "param_bytes" if figure.endswith("B") else "params"
    assert parse_expectation(Source("expect", f"{quantity} == {figure}")).figure.value == expected


def test_units_stand_in_figures_only():
    assert mistakes("net a {\n  input(3x8x8)\n  conv(1K, 1)\n}\n") == [
        "the unit `K` is only allowed in the figure of an `expect`"
    ]
    assert wrong("relu\nexpect params ~ 1KB") == [
        "`KB` is a unit of bytes, but `params` is not measured in bytes"
    ]
    assert wrong("relu\nexpect macs ~ 0.4B") == ["`0.4B` is neither a number nor a name"]
    assert wrong("relu\nexpect macs ~ 4m") == ["`4m` is neither a number nor a name"]
    assert wrong("relu\nexpect param_bytes ~ 4K") == []


# --- 19: figures that do not hold -------------------------------------------------------------------


def test_expect_not():
    body = (
        'conv(10, 1)\nexpect not params ~ 41 "Table 1" because "40"\nexpect not params == 40 because "it is"'
    )
    first, second = check(analyze(network(body)))
    assert (first.held, first.expect.citation, first.expect.reason) == (True, "Table 1", "40")
    assert not second.held
    assert second.reason == "params is 40, so `not 40` fails"


def test_not_and_because_go_together():
    assert wrong("relu\nexpect not params == 1") == ["`expect not` needs a reason"]
    assert wrong('relu\nexpect params == 0 because "so"') == ["`because` is only allowed with `expect not`"]


# --- Lines and brackets -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "conv(2, 1) -> relu",
        "conv(2, 1) ->\n  relu",
        "conv(2, 1)\n  -> relu",
        "conv(2, 1) # one\n\n  # two\n  -> # three\n  relu",
        "conv(\n  2,\n  1,\n) -> relu",
        "conv(2,\n 1)\nrelu",
        "{ conv(2, 1)\n relu }",
        "{\n conv(2, 1)\n\n relu\n}",
        "(conv(2, 1) -> relu)",
        "((conv(2, (1))))\nrelu",
        "if true { conv(2, 1) }\nelse { tanh }\nrelu",
        "if false { tanh }\n\n# or\nelse if true { conv(2, 1) }\nrelu",
        "c = [\n 2,\n 3,\n][0]\nconv(c, 1) -> relu",
    ],
)
def test_where_lines_end(body):
    assert paths(body) == ["conv1", "relu1"]


def test_a_body_inside_parentheses_has_lines():
    body = "add(\n  {\n    conv(3, 1)\n    relu\n  },\n  identity,\n)"
    assert paths(body) == ["conv1", "relu1", "add1"]


def test_words_that_may_be_names():
    assert layers("within = 2\nof = 1\nbecause = 1\nconv(within, of * because)") == ["conv(2, 1)"]


def test_comments_above_a_definition_are_its_documentation():
    module = load_text(
        "# A file\n\n# One\n# Two\nblock b { relu }\n# Three\n\nnet a {\n  input(3x8x8)\n  b\n}\n"
    )
    assert [definition.doc for definition in module.definitions.values()] == ["One\nTwo", ""]
    assert module.doc == "A file"


def test_tensors_flow():
    """A name goes on from its tensor; `=` leaves the current tensor where it was."""
    found = network(
        "a: conv(4, 1)\nb = conv(5, 1)\nc = conv(6, 1)\nb\nd = relu\na -> tanh\nconcat(identity, c, d)"
    )
    assert [node.name for node in found["relu1"].inputs] == ["conv2"]
    assert [node.name for node in found["conv3"].inputs] == ["a"]
    assert [node.name for node in found["concat1"].inputs] == ["tanh1", "conv3", "relu1"]


def test_readings():
    body = "conv(5, 3)\nx = conv(channels + 1, 1)\nmaxpool(2)\nconv(channels(x) + size[0], 1)\n"
    body += "s = size\ny = x -> crop(s)\nz = x -> crop(size)\nconcat(identity, y, z -> maxpool(2))"
    assert layers(body) == [
        "conv(5, 3)", "conv(6, 1)", "maxpool(2)", "conv(9, 1)",
        "crop(3x3)", "crop(6x6)", "maxpool(2)", "concat",
    ]  # fmt: skip
    assert layers("reshape([1, shape[0] * shape[1], shape[2]])") == ["reshape(1x24x8)"]
    assert wrong("flatten\nconv(size[0], 1)") == ["`size` needs a map, but this tensor is a vector of 192"]
    assert wrong("conv(channels(3), 1)") == ["`channels` needs a tensor, not a value"]


def test_mistakes_of_one_are_no_plurals():
    assert wrong("permute([0])") == ["`permute` names 1 axis of 3"]
    assert wrong("conv(2, [3])") == ["`kernel_size` of `conv` has 1 entry, but the input has 2 spatial axes"]
    assert wrong("conv(2, 1, connections=[[0]])") == [
        "`connections` of `conv` has 1 row for 2 output channels"
    ]
    with pytest.raises(ArchError, match=r"bring `conv2` to 3 channels, for"):
        network("a = conv(3, 1)\nconv(2, 1)\nadd(a, identity)")
