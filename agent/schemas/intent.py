"""What a request means, whoever read it: the rules or a model. Code carries it out.

Words are the caller's. Left and right are as the words say them; whose they are on the picture is
decided later, by one rule (`agent.planners.sides`).
"""

from typing import Annotated, Literal

from pydantic import Field

from segmenter.contract import Box, Frozen

Side = Literal["left", "right"]
Height = Literal["top", "bottom", "middle"]
Rank = Literal["largest", "smallest", "leftmost", "rightmost", "topmost", "bottommost", "central"]
Unit = Literal["px", "mm", "cm", "percent"]

Act = Literal[
    # Which of the masks stay, and which come back or are looked for beside them.
    "add",
    "keep",
    "drop",
    "exclude",
    "subtract",
    # A person's judgement.
    "accept",
    "wrong",
    # Look again.
    "retry",
    "box",
    # Edits of an outline.
    "tighter",
    "bigger",
    "grow",
    "shrink",
    "smooth",
    "fill",
    "despeckle",
    "split",
    "merge",
    # The thread.
    "undo",
    "redo",
    "clear",
    "swap",
]
EDITS: frozenset[Act] = frozenset(
    {"tighter", "bigger", "grow", "shrink", "smooth", "fill", "despeckle", "split", "merge"}
)

Topic = Literal[
    "size",
    "area",
    "volume",
    "diameter",
    "width",
    "height",
    "perimeter",
    "circularity",
    "intensity",
    "count",
    "place",
    "side",
    "midline",
    "presence",
    "ratio",
    "share",
    "compare",
    "difference",
    "names",
    # Answered with what this service is and does, never with a number.
    "diagnosis",
    "unmeasurable",
    "why",
]
Talk = Literal["greeting", "thanks", "help", "off_topic", "other_language"]


class Which(Frozen):
    """Which of the masks of a thing are meant.

    Attributes:
        side: as the words say it.
        frame: whose left is meant: ``patient`` or ``image``, None when the words do not say.
        place: third of the picture's height in words: the upper or lower half, or the middle.
        rank: what the masks are ordered by, the first one first.
        nth: from 1: "second largest" is 2. With a `limit`, where counting begins.
        from_end: `nth` counts from the end: "the last one".
        limit: at most so many.
        several: the words ask for more than one.
        border: masks that touch the picture's border, or those that do not.
    """

    side: Side | None = None
    frame: Literal["patient", "image"] | None = None
    place: Height | None = None
    rank: Rank | None = None
    nth: Annotated[int, Field(ge=1)] = 1
    from_end: bool = False
    limit: Annotated[int, Field(ge=1)] | None = None
    several: bool = False
    border: Literal["touching", "clear"] | None = None


ANY = Which()


class Thing(Frozen):
    """A structure that a request names.

    Attributes:
        words: the caller's words, normalised: "left lung" gives "lung", the side is in `which`.
        terms: labels of the lexicon's terms that they may mean, the likeliest first; () for words
            that the lexicon does not hold.
        where: the caller's words on the place, or "".
    """

    words: str
    terms: tuple[str, ...] = ()
    which: Which = ANY
    where: str = ""


class Operation(Frozen):
    """One thing to do with masks.

    It is about the masks it names by id, else about those of the things it names, else (neither)
    about what is meant by "it": what the request finds, else what was spoken of last.

    Attributes:
        masks: ids ("m1"), as the thread knows them.
        which: which of the masks meant; of a request without a noun ("only the left one").
        minus: what is taken away by ``subtract``; the second of a ``swap``.
        amount: of ``grow`` and ``shrink``, in `unit`; None for a default that is said.
        box: of ``box``, in pixels of the image.
        words: verbatim, as far as known.
    """

    act: Act
    masks: tuple[str, ...] = ()
    things: tuple[Thing, ...] = ()
    which: Which = ANY
    minus: tuple[Thing, ...] = ()
    amount: Annotated[float, Field(gt=0)] | None = None
    unit: Unit | None = None
    box: Box | None = None
    words: str = ""


class Question(Frozen):
    """One thing to tell. It changes no mask.

    Attributes:
        masks: ids; as `Operation.masks`.
        things: what it is about; () for what is meant by "it".
        which: which of the masks meant; of a question without a noun ("how big is the left one?").
        unit: that the answer is wanted in.
        words: verbatim, as far as known: names what cannot be measured ("BI-RADS").
    """

    topic: Topic
    masks: tuple[str, ...] = ()
    things: tuple[Thing, ...] = ()
    which: Which = ANY
    unit: Unit | None = None
    words: str = ""


class Correction(Frozen):
    """A typing error that was read as a known word."""

    typed: str
    read: str


class Intent(Frozen):
    """A request's meaning.

    Attributes:
        find: things to outline, in the order of the request.
        operations: in the order of the request.
        talk: small talk, a call for help, or a request for something else altogether.
        context: verbatim parts that are known to ask for nothing: age, history, "please".
        not_understood: verbatim parts that nothing consumed.
        corrections: typing errors.
        modality: as named in the request, or ``unknown``.
        language: ISO 639-1 code.
    """

    find: tuple[Thing, ...] = ()
    operations: tuple[Operation, ...] = ()
    questions: tuple[Question, ...] = ()
    talk: Talk | None = None
    context: tuple[str, ...] = ()
    not_understood: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    modality: str = "unknown"
    language: str = "en"

    def acts(self, *acts: Act) -> tuple[Operation, ...]:
        """Return the operations of these kinds, in their order."""
        return tuple(one for one in self.operations if one.act in acts)
