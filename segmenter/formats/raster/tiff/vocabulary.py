"""The numbers of TIFF by name. Source: TIFF 6.0 and its supplements, and libtiff's list of tags."""

from segmenter.formats.raster.samples import Kind

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR = 273, 277, 278, 279, 284
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
DESCRIPTION, SUBFILE, FAX_OPTIONS, PREDICTOR, COLOUR_MAP = 270, 254, 292, 317, 320
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SUB_DIRECTORIES = 322, 323, 324, 325, 330
EXTRA, SAMPLE_FORMAT, JPEG_TABLES, SUBSAMPLING = 338, 339, 347, 530
DEPTH, PROFILE, LERC_PARAMETERS = 32997, 34675, 50674

UNCOMPRESSED, JPEG, APERIO_YCBCR = 1, 7, 33003
# Codestreams that declare a size of their own.
STREAMS = {
    JPEG: "jpeg",
    APERIO_YCBCR: "jpeg2000",
    33004: "jpeg2000",
    33005: "jpeg2000",
    34712: "jpeg2000",
    34887: "lerc",
    34927: "webp",
    50001: "webp",
}
# None, CCITT, LZW, Deflate, PackBits, LZMA, Zstandard and those above.
COMPRESSIONS_READ = frozenset(
    {UNCOMPRESSED, 2, 3, 4, 5, 8, 32773, 32946, 34925, 34926, 50000} | STREAMS.keys()
)
COMPRESSIONS_NAMED = {
    6: "old-style JPEG",
    22610: "JPEG XR",
    32809: "ThunderScan",
    32908: "Pixar",
    32909: "Pixar",
    34676: "LogLuv",
    34677: "LogLuv",
    34892: "lossy DNG",
    34934: "JPEG XR",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
KINDS: dict[int, Kind] = {
    WHITE_IS_ZERO: "grey",
    BLACK_IS_ZERO: "grey",
    RGB: "rgb",
    PALETTE: "palette",
    CMYK: "cmyk",
    YCBCR: "ycbcr",
}
PHOTOMETRICS_NAMED = {
    4: "a transparency mask",
    8: "CIE LAB colour",
    9: "ICC LAB colour",
    10: "ITU LAB colour",
    32803: "the raw picture of a camera",
    32844: "LogL luminance",
    32845: "LogLuv colour",
    34892: "the raw picture of a camera",
}
PREMULTIPLIED, STRAIGHT = 1, 2
UNSIGNED, SIGNED, FLOATING, UNDEFINED = 1, 2, 3, 4
# Bits of a sample by its format.
DEPTHS = {
    UNSIGNED: (*range(1, 33), 64),
    SIGNED: (8, 16, 32, 64),
    FLOATING: (16, 24, 32, 64),
    UNDEFINED: (*range(1, 33), 64),
}
CENTIMETRE = 3
END_OF_JPEG = b"\xff\xd9"
