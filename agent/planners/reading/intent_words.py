"""Other words for what may be done with outlines, asked of them, or meant by "which". Pure.

As `agent.planners.reading.wordings`: our words first, then the ones that stand for them.
"""

from agent.planners.reading.fields import to_words

WHICH_FIELDS = to_words(
    side="laterality, left_or_right",
    whose="frame, side_of, reference",
    place="vertical, vertical_position",
    rank="order, order_by, sort, sort_by",
    nth="ordinal, rank_number, position_in_order",
    limit="max, maximum, at_most, top_n, how_many",
    border="touching_border, edge, touches_border",
)
OPERATION_FIELDS = to_words(
    act="action, operation, op, type, name, command, verb, edit",
    words="request_words, verbatim, quote, text, original_words, phrase",
    masks="mask, mask_ids, mask_id, ids, id",
    targets="target, labels, label, structures, structure, objects, object, things",
    minus="subtract, minus_targets, without, other, second, by_targets",
    which="selection, selector, which_one",
    amount="value, by, distance, size, radius",
    unit="units",
)
QUESTION_FIELDS = to_words(
    topic="question, about, kind, type, measure, quantity, name",
    words="request_words, verbatim, quote, text, original_words, phrase",
    masks="mask, mask_ids, mask_id, ids, id",
    targets="target, labels, label, structures, structure, objects, object, things",
    unit="units",
)

ACTS = to_words(
    add="also, include, append, add_back, restore_mask",
    keep="only, retain, keep_only, select, filter, leave_only",
    drop="delete, remove, discard, erase, hide, get_rid_of",
    exclude="without, leave_out, omit",
    subtract="minus, cut_out, difference, take_away, subtraction",
    accept="confirm, approve, accepted, good, correct",
    wrong="reject, incorrect, bad, false, rejected",
    retry="again, redo_search, look_again, rerun, search_again, try_again, re_segment, resegment",
    box="use_box, bounding_box, set_box",
    tighter="smaller, too_large, too_big, tighten, reduce",
    bigger="larger, looser, too_small, enlarge, wider",
    grow="expand, dilate, dilation, extend, increase, expansion, enlarge_by",
    shrink="erode, erosion, contract, decrease, shrinking, reduce_by",
    smooth="smoothen, smoothing, smooth_edges, smoother",
    fill="fill_holes, close_holes, fill_in, filling",
    despeckle="remove_specks, clean, clean_up, denoise, remove_noise, remove_islands",
    split="separate, divide, one_mask_each, separate_instances, individual",
    merge="join, combine, union, unite, fuse",
    undo="revert, take_back, go_back, rueckgaengig",
    redo="do_again, undo_undo",
    clear="remove_all, delete_all, reset, clear_all, start_over, drop_all",
    swap="exchange, switch, swap_labels, swap_names",
)
TOPICS = to_words(
    size="how_big, dimensions, dimension, measure, measurement",
    area="surface, surface_area",
    volume="volume_ml, how_much_volume",
    diameter="longest_diameter, length, longest_axis, axes, axis, recist",
    width="breadth, how_wide",
    height="how_tall, how_high",
    perimeter="circumference, outline_length, contour_length",
    circularity="roundness, shape, how_round",
    intensity="brightness, mean_intensity, hu, density, hounsfield, grey_value, gray_value",
    count="number, how_many, quantity",
    place="location, where, position, centroid, center, centre",
    side="laterality, which_side, left_or_right",
    midline="midline_shift, crosses_midline, crossing_midline",
    presence="present, is_there, existence, exists, detection, found",
    ratio="cup_to_disc_ratio, cdr, cup_disc_ratio, proportion",
    share="percentage, fraction, percent, proportion_of, coverage",
    compare="comparison, which_is_larger, larger, versus, vs",
    difference="change, difference_to_before, delta",
    names="labels, what_is_it, what_is_this, identify, list",
    diagnosis="malignancy, malignant, diagnose, cancer, birads, bi_rads, grade, stage",
    unmeasurable="not_measurable, ejection_fraction, cannot_measure, other",
    why="explain, explanation, reason, confidence, are_you_sure, certainty",
)
TALKS = to_words(
    greeting="hello, hi, greet",
    thanks="thank_you, thank",
    help="capabilities, usage, what_can_you_do",
    off_topic="offtopic, unrelated, other, irrelevant, small_talk",
    other_language="foreign_language, language, unknown_language",
)
SIDES = to_words(left="l, lt, left_side", right="r, rt, right_side")
FRAMES = to_words(
    patient="patients, patient_s, body, anatomical, patient_side",
    image="picture, viewer, screen, image_s, image_side",
)
HEIGHTS = to_words(
    top="upper, above, superior, top_half, upper_half",
    bottom="lower, below, inferior, bottom_half, lower_half",
    middle="center, centre, central_third, mid",
)
RANKS = to_words(
    largest="biggest, greatest, large, max, maximum, area_desc",
    smallest="tiniest, least, small, min, minimum, area_asc",
    leftmost="furthest_left, far_left",
    rightmost="furthest_right, far_right",
    topmost="uppermost, highest",
    bottommost="lowermost, lowest",
    central="most_central, closest_to_center, closest_to_centre, centermost",
)
BORDERS = to_words(
    touching="touch, touches, on_border, at_border, at_the_border, yes, true, cut",
    clear="not_touching, free, inside, off_border, no, false, not_at_border",
)
UNITS = to_words(
    px="pixel, pixels, px2, pixels2",
    mm="millimetre, millimeter, millimetres, millimeters, mm2",
    cm="centimetre, centimeter, centimetres, centimeters, cm2",
    percent="pct, per_cent, percentage",
)
