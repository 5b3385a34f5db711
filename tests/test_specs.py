"""The shipped networks: all there, all with a reference, every published figure as the spec says."""

from __future__ import annotations

import json

import pytest

import archcalc
from archcalc.catalog import open_shipped, shipped, shipped_files
from archcalc.checking.evaluate import check
from archcalc.profile import analyze

SPECS = {spec.name: spec for spec in shipped()}

NAMES = """
lenet1989 lenet5 lenet5_1998 alexnet alexnet_one_tower alexnet_owt zfnet zfnet_512 nin
vgg11 vgg11_lrn vgg13 vgg16_c vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn
googlenet googlenet_torchvision inception_v2 inception_v3 inception_v4
inception_resnet_v1 inception_resnet_v2 inception_resnet_v2_drawn
plain18 plain34 resnet18 resnet34 resnet50 resnet101 resnet152 resnet50_v1_5 resnet101_v1_5 resnet152_v1_5
resnet34_option_a resnet152_v2 resnet50_keras resnet20_cifar resnet56_cifar resnet110_cifar resnet1202_cifar
highway_fc50 resnext50_32x4d resnext101_32x8d wide_resnet50_2 wrn28_10_cifar se_resnet50 senet154
densenet121 densenet161 densenet169 densenet201 densenet_bc100_k12_cifar nasnet_a_mobile nasnet_a_large
squeezenet1_0 squeezenet1_1 mobilenet_v1 conv_mobilenet shallow_mobilenet mobilenet_v2
mobilenet_v3_small mobilenet_v3_large shufflenet_v1_g1 shufflenet_v1_g2 shufflenet_v1_g3 shufflenet_v1_g4
shufflenet_v1_g8 shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0
efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5
efficientnet_b6 efficientnet_b7 convnext_tiny convnext_small convnext_base convnext_large convnext_xlarge
convnextv2_atto convnextv2_femto convnextv2_pico convnextv2_nano convnextv2_tiny convnextv2_base
convnextv2_large convnextv2_huge mlnn mlnn_lc mlnn_lc_ps mlp conv_stack inception_naive inception_reduced
depthwise_separable standard_conv deconvnet unet lp_pooling xception
vit_b_16 vit_b_32 vit_l_16 deit_tiny deit_small nfnet_f0 swin_t swin_s maxvit_t
c2d_resnet50 non_local_resnet50 cbam_resnet50 edsr edsr_baseline dcn_resnet50
crnn crnn_pytorch text_rnn text_bilstm
""".split()


@pytest.mark.parametrize("name", NAMES)
def test_the_network_is_there(name):
    assert name in SPECS


@pytest.mark.parametrize("name", SPECS)
def test_every_expectation_holds(name):
    checks = check(analyze(SPECS[name].network()))
    assert [c.reason for c in checks if not c.held] == []
    assert checks


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_cited(name):
    """Somebody else says so: at least one expectation with a source."""
    network = SPECS[name].network()
    assert any(expect.citation for expect in network.expectations)


@pytest.mark.parametrize("name", SPECS)
def test_every_network_has_a_reference_with_a_year(name):
    spec = SPECS[name]
    assert spec.year is not None
    assert 1980 <= spec.year <= 2026
    assert len(spec.reference) > 20


PUBLISHED = {
    # name: parameters and multiply-adds, from sources outside this project, as the specs cite them
    "vgg16": (138_357_544, 15_470_264_320),
    "resnet50": (25_557_032, 3_857_973_248),
    "resnet50_v1_5": (25_557_032, 4_089_184_256),
    "googlenet": (6_998_552, 1_582_671_872),
    "googlenet_torchvision": (6_624_904, 1_498_376_192),
    "mobilenet_v1": (4_231_976, 568_740_352),
    "mobilenet_v2": (3_504_872, 300_774_272),
    "lenet5_1998": (60_000, None),
    "alexnet": (60_965_224, None),
    "alexnet_owt": (61_100_840, 714_188_480),
    "resnet152": (60_192_808, None),
    "inception_v3": (23_834_568, None),
    "densenet121": (7_978_856, None),
    "nasnet_a_mobile": (5_289_978, None),
    "unet": (31_030_658, None),
    "inception_naive": (None, 120_422_400),
    "inception_reduced": (None, 12_443_648),
    "crnn_pytorch": (8_331_301, 705_143_808),
    "text_bilstm": (4_810_857, 230_195_712),
    "mlnn": (21, None),
    "mlnn_lc": (9, None),
    "mlnn_lc_ps": (3, None),
    "vit_b_16": (86_567_656, 17_563_828_224),
    "vit_b_32": (88_224_232, 4_409_186_304),
    "vit_l_16": (304_326_632, 61_554_712_576),
    "deit_tiny": (5_717_416, 1_253_683_200),
    "deit_small": (22_050_664, 4_598_882_304),
    "nfnet_f0": (71_489_284, 12_384_198_656),
    "swin_t": (28_288_354, 4_490_566_656),
    "swin_s": (49_606_258, 8_740_875_264),
    "maxvit_t": (30_919_624, 5_558_046_720),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_totals(name):
    totals = analyze(SPECS[name].network()).totals
    params, macs = PUBLISHED[name]
    assert params in (None, totals.params)
    assert macs in (None, totals.macs)


FIELDS = {
    # Araujo et al. 2019, and google-research/receptive_field
    ("vgg16", "stage5/maxpool1"): 212,
    ("resnet50", "conv5_x"): 483,
    ("resnet50_v1_5", "conv5_x"): 427,
}


@pytest.mark.parametrize(("name", "path"), FIELDS)
def test_published_receptive_fields(name, path):
    profile = analyze(SPECS[name].network())
    field = FIELDS[name, path]
    assert profile[path].field.size == (field, field)


def test_mobilenet_sees_315_pixels_before_the_global_pool():
    profile = analyze(SPECS["mobilenet_v1"].network())
    before = next(layer for layer in profile if layer.kind == "global_avgpool").node.inputs[0]
    assert profile[before.name].field.size == (315, 315)


def test_families_have_one_file_each_and_names_are_unique():
    assert len(SPECS) == len(shipped())
    assert all(open_shipped(name).family == spec.family for name, spec in SPECS.items())


@pytest.mark.parametrize("name", SPECS)
def test_what_a_network_points_to_exists(name):
    see = SPECS[name].network().see
    assert set(see) <= shipped_files().keys() - {name}
    assert all(about and about[-1] != "." for about in see.values())


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet50", "resnet50_v1_5"),
        ("squeezenet1_0", "squeezenet1_0_torchvision"),
        ("squeezenet1_1", "squeezenet1_1_torchvision"),
        ("shufflenet_v2_x0_5", "shufflenet_v2_x0_5_torchvision"),
        ("shufflenet_v2_x1_0", "shufflenet_v2_x1_0_torchvision"),
        ("inception_resnet_v2_drawn", "inception_resnet_v2"),
    ],
)
def test_report_and_list_name_what_may_be_meant(name, meant, run):
    assert f"see also {meant}: " in run("report", name, width=100)[1]
    assert f"{name}: see also {meant}, " in run("list", width=100)[1]
    (row,) = (
        row for row in json.loads(run("list", "--format", "json")[1])["networks"] if row["name"] == name
    )
    assert list(row["see"]) == [meant]
    assert list(json.loads(run("report", name, "--format", "json")[1])["see"]) == [meant]


def test_variants_do_not_take_over_what_may_be_meant_instead():
    assert archcalc.load("squeezenet1_0_torchvision").see == {}


def test_shufflenet_v1_may_have_a_bias():
    plain, biased = (archcalc.analyze(archcalc.load(f"shufflenet_v1_g3{how}")) for how in ("", "?bias=true"))
    assert biased.totals["params"] == plain.totals["params"] + 1000
