"""The sizes of torchvision's networks without their last layers, so that a check needs no torchvision. Loads no torch.

They were counted on the networks of torchvision 0.29; a slow test compares some with the installed ones.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from tunecli.config.schema.models import Backbone
from tunecli.train.data.table import Inputs
from tunecli.train.model_sizes import Size

_SMALL, _LARGE = 64, 224  # sides of the images in which multiply-adds were counted, in pixels


class Body(NamedTuple):
    """One network.

    Attributes:
        n_parameters: number of parameters; of a vision transformer, for images of 224 × 224 pixels.
        n_features: number of values that the head gets.
        n_small, n_large: multiply-adds for an image of 64 × 64 and of 224 × 224 pixels.
    """

    n_parameters: int
    n_features: int
    n_small: int
    n_large: int


def backbone_size(knob: Backbone, inputs: Inputs, n_outputs: int) -> Size:
    """The size of `backbone`. Its multiply-adds are exact for squares of 64 and 224 pixels, and estimates for others.

    They are an affine function of the number of pixels: convolutions are proportional to it, and linear layers after
    the pooling constant.
    """
    body = BODIES[knob.architecture]
    rows, columns = knob.image_size(*inputs.shape[1:])
    slope = (body.n_large - body.n_small) / (_LARGE**2 - _SMALL**2)
    n_multiply_adds = max(0, round(body.n_small + slope * (rows * columns - _SMALL**2)))
    n_parameters = body.n_parameters
    if knob.has_positions:  # a vector for each patch
        n_parameters += body.n_features * ((rows // knob.side_unit) ** 2 - (_LARGE // knob.side_unit) ** 2)
    size = Size(n_parameters, n_multiply_adds)
    for n_in, n_out in pairwise((body.n_features, *knob.hidden, n_outputs)):
        size += Size((n_in + 1) * n_out, n_in * n_out)
    return size


BODIES: dict[str, Body] = {
    "resnet101": Body(42_500_160, 2_048, 636_682_240, 7_799_357_440),
    "resnet152": Body(58_143_808, 2_048, 939_720_704, 11_511_578_624),
    "resnet18": Body(11_176_512, 512, 148_045_824, 1_813_561_344),
    "resnet34": Body(21_284_672, 512, 299_040_768, 3_663_249_408),
    "resnet50": Body(23_508_032, 2_048, 333_643_776, 4_087_136_256),
    "resnext101_32x8d": Body(86_742_336, 2_048, 1_339_752_448, 16_411_967_488),
    "resnext101_64x4d": Body(81_406_272, 2_048, 1_261_895_680, 15_458_222_080),
    "resnext50_32x4d": Body(22_979_904, 2_048, 345_178_112, 4_228_431_872),
    "wide_resnet101_2": Body(124_837_696, 2_048, 1_857_224_704, 22_751_002_624),
    "wide_resnet50_2": Body(66_834_240, 2_048, 930_283_520, 11_395_973_120),
    "convnext_base": Body(87_566_464, 1_024, 1_253_363_712, 15_353_705_472),
    "convnext_large": Body(196_230_336, 1_536, 2_804_889_600, 34_359_897_600),
    "convnext_small": Body(49_454_688, 768, 708_811_776, 8_682_944_256),
    "convnext_tiny": Body(27_820_128, 768, 363_654_144, 4_454_763_264),
    "efficientnet_b0": Body(4_007_548, 1_280, 31_966_592, 384_534_752),
    "efficientnet_b1": Body(6_513_184, 1_280, 47_415_680, 568_371_680),
    "efficientnet_b2": Body(7_700_994, 1_408, 54_884_480, 657_555_440),
    "efficientnet_b3": Body(10_696_232, 1_536, 80_170_880, 961_172_240),
    "efficientnet_b4": Body(17_548_616, 1_792, 125_468_512, 1_501_918_432),
    "efficientnet_b5": Body(28_340_784, 2_048, 196_930_624, 2_354_445_184),
    "efficientnet_b6": Body(40_735_704, 2_304, 280_981_728, 3_357_862_848),
    "efficientnet_b7": Body(63_786_960, 2_560, 432_749_312, 5_167_305_152),
    "efficientnet_v2_l": Body(117_234_272, 1_280, 1_018_641_664, 12_229_908_544),
    "efficientnet_v2_m": Body(52_858_356, 1_280, 446_657_920, 5_360_927_200),
    "efficientnet_v2_s": Body(20_177_488, 1_280, 235_905_792, 2_848_615_872),
    "mobilenet_v2": Body(2_223_872, 1_280, 24_448_512, 299_494_272),
    "mobilenet_v3_large": Body(4_202_032, 1_280, 20_088_960, 215_309_760),
    "mobilenet_v3_small": Body(1_517_856, 1_024, 5_492_480, 55_486_400),
    "mnasnet0_5": Body(937_512, 1_280, 8_422_528, 103_175_968),
    "mnasnet0_75": Body(1_889_208, 1_280, 17_486_784, 214_213_104),
    "mnasnet1_0": Body(3_102_312, 1_280, 25_562_112, 313_135_872),
    "mnasnet1_3": Body(5_001_256, 1_280, 42_863_872, 525_082_432),
    "shufflenet_v2_x0_5": Body(341_792, 1_024, 3_220_608, 39_452_448),
    "shufflenet_v2_x1_0": Body(1_253_604, 1_024, 11_745_632, 143_883_992),
    "shufflenet_v2_x1_5": Body(2_478_624, 1_024, 24_060_032, 294_735_392),
    "shufflenet_v2_x2_0": Body(5_344_996, 2_048, 47_445_344, 581_205_464),
    "regnet_x_16gf": Body(52_229_536, 2_048, 1_301_118_976, 15_938_707_456),
    "regnet_x_1_6gf": Body(8_277_136, 912, 130_770_432, 1_601_937_792),
    "regnet_x_32gf": Body(105_290_560, 2_520, 2_590_482_432, 31_733_409_792),
    "regnet_x_3_2gf": Body(14_287_552, 1_008, 259_233_792, 3_175_613_952),
    "regnet_x_400mf": Body(5_094_976, 400, 33_747_968, 413_412_608),
    "regnet_x_800mf": Body(6_586_656, 672, 65_226_752, 799_027_712),
    "regnet_x_8gf": Body(37_651_648, 1_920, 652_507_136, 7_993_212_416),
    "regnet_y_128gf": Body(637_419_894, 7_392, 10_485_701_760, 127_510_423_680),
    "regnet_y_16gf": Body(80_565_140, 3_024, 1_307_934_592, 15_908_486_272),
    "regnet_y_1_6gf": Body(10_313_430, 888, 132_910_080, 1_611_188_160),
    "regnet_y_32gf": Body(141_333_770, 3_712, 2_648_359_232, 32_275_840_832),
    "regnet_y_3_2gf": Body(17_923_338, 1_512, 261_562_752, 3_174_970_752),
    "regnet_y_400mf": Body(3_903_144, 440, 33_376_288, 401_402_848),
    "regnet_y_800mf": Body(5_647_512, 784, 68_777_856, 833_072_256),
    "regnet_y_8gf": Body(37_364_472, 2_016, 696_195_072, 8_471_054_592),
    "densenet121": Body(6_953_856, 1_024, 231_276_544, 2_833_137_664),
    "densenet161": Body(26_472_000, 2_208, 630_669_312, 7_725_699_072),
    "densenet169": Body(12_484_480, 1_664, 274_137_088, 3_358_179_328),
    "densenet201": Body(18_092_928, 1_920, 350_158_848, 4_289_445_888),
    "vgg11": Body(128_766_336, 4_096, 730_595_328, 7_604_994_048),
    "vgg11_bn": Body(128_771_840, 4_096, 730_595_328, 7_604_994_048),
    "vgg13": Body(128_950_848, 4_096, 1_032_585_216, 11_304_370_176),
    "vgg13_bn": Body(128_956_736, 4_096, 1_032_585_216, 11_304_370_176),
    "vgg16": Body(134_260_544, 4_096, 1_372_323_840, 15_466_168_320),
    "vgg16_bn": Body(134_268_992, 4_096, 1_372_323_840, 15_466_168_320),
    "vgg19": Body(139_570_240, 4_096, 1_712_062_464, 19_627_966_464),
    "vgg19_bn": Body(139_581_248, 4_096, 1_712_062_464, 19_627_966_464),
    "alexnet": Body(57_003_840, 4_096, 94_048_960, 710_092_480),
    "vit_b_16": Body(85_798_656, 768, 1_433_719_202, 17_563_060_224),
    "vit_b_32": Body(87_455_232, 768, 359_870_882, 4_408_418_304),
    "vit_h_14": Body(630_764_800, 1_280, 13_656_639_112, 167_293_829_120),
    "vit_l_16": Body(303_301_632, 1_024, 5_024_790_904, 61_553_688_576),
    "vit_l_32": Body(305_510_400, 1_024, 1_255_225_720, 15_376_515_072),
    "swin_b": Body(86_743_224, 1_024, 2_403_482_112, 15_429_922_816),
    "swin_s": Body(48_837_258, 768, 1_366_313_856, 8_740_107_264),
    "swin_t": Body(27_519_354, 768, 770_877_312, 4_489_798_656),
    "swin_v2_b": Body(86_905_848, 1_024, 2_797_686_784, 17_046_654_976),
    "swin_v2_s": Body(48_968_442, 768, 1_604_195_328, 9_694_516_224),
    "swin_v2_t": Body(27_582_570, 768, 867_615_744, 4_937_696_256),
    "maxvit_t": Body(30_407_624, 512, 453_676_304, 5_557_534_720),
}
"""By architecture, the network without its last layer."""
