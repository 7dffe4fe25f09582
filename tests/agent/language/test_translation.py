"""Requests in other languages, and the English words they become."""

# ruff: noqa: RUF001 - signs of other scripts are meant

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.language.language_tables import TRANSLATED
from agent.language.tokens import tokenize
from agent.language.translation import Translated, translate
from tests.agent.language.test_requests import REQUESTS as CLINICAL
from tests.agent.planners.test_rules import REQUESTS as EARLIER

# (language, request, English words)
REQUESTS: list[tuple[str, str, str]] = [
    ("de", "Bitte den Polypen umranden", "please polyp outline"),
    ("de", "nur die linke Lunge", "only left lung"),
    ("de", "Vergrößere die Kontur um 5 Pixel", "grow outline by 5 px"),
    ("de", "Vergroessere die Maske um 5 mm", "grow mask by 5 mm"),
    ("de", "Wie groß ist der Hirntumor in mm?", "how big is brain tumor in mm ?"),
    ("de", "rückgängig machen", "undo"),
    ("de", "Zellkerne zählen", "nucleus count"),
    ("de", "Umrande die Lungenflügel, aber nicht das Herz", "outline lung , but not heart"),
    ("de", "Glätte die Ränder und fülle die Löcher", "smooth edge and fill hole"),
    ("de", "Maske 2 ist falsch", "mask 2 is wrong"),
    ("de", "Auf welcher Seite ist der Erguss?", "which side is effusion ?"),
    ("de", "der zweitgrößte Lymphknoten", "second largest lymph node"),
    (
        "de",
        "62-jährige Patientin mit Brusttumor links",
        "62 - year old patient with breast tumor left",
    ),
    ("de", "Entferne alles außer dem größten Polypen", "remove everything except largest polyp"),
    ("de", "segmentiere the polyp", "outline the polyp"),
    ("de", "welche Niere ist größer?", "which kidney is bigger ?"),
    ("fr", "quel rein est le plus grand ?", "which kidney is bigger ?"),
    ("es", "¿qué riñón es más grande?", "which kidney is bigger ?"),
    ("pt", "qual rim é maior?", "which kidney is bigger ?"),
    ("it", "quale rene è più grande?", "which kidney is bigger ?"),
    ("zh", "哪个肾更大？", "which kidney is bigger ?"),
    ("ja", "どちらの腎臓が大きいですか？", "which kidney is bigger ?"),
    ("fr", "Délimitez la papille optique, s'il vous plaît", "outline optic disc , please"),
    ("fr", "les poumons sans le cœur", "lung without heart"),
    ("fr", "annuler", "undo"),
    ("fr", "lisse les bords", "smooth edge"),
    ("fr", "Entoure l'épaule gauche et l'œil droit", "outline shoulder left and eye right"),
    ("fr", "Y a-t-il un épanchement pleural ?", "is there pleural effusion ?"),
    (
        "fr",
        "Combien de noyaux y a-t-il sur cette image ?",
        "how many nucleus is there in this image ?",
    ),
    ("fr", "gardez seulement le ventricule gauche", "keep only left ventricle"),
    ("fr", "le masque 1 est faux", "mask 1 is wrong"),
    ("fr", "plus grand", "bigger"),
    ("fr", "le polype le plus petit", "polyp smallest"),
    ("fr", "Quel est le rapport cup/disc ?", "what is cup to disc ratio ?"),
    (
        "fr",
        "Femme de 52 ans, nodule du sein droit, merci de délimiter",
        "woman of 52 year old , breast tumor right , please outline",
    ),
    ("fr", "tout effacer", "remove everything"),
    ("es", "¿Hay un pólipo? Delinéalo", "is there polyp ? outline it"),
    (
        "es",
        "Segmenta el ventrículo izquierdo y el miocardio",
        "outline left ventricle and myocardium",
    ),
    ("es", "borra todo", "remove everything"),
    ("es", "el pólipo más grande", "polyp largest"),
    ("es", "más grande", "bigger"),
    ("es", "los pulmones pero no el corazón", "lung but not heart"),
    ("es", "Suaviza los bordes y rellena los huecos", "smooth edge and fill hole"),
    ("es", "la máscara 1 está mal", "mask 1 wrong"),
    ("es", "¿Dónde está el tumor cerebral?", "where is brain tumor ?"),
    (
        "es",
        "Mujer de 52 años, bulto en la mama derecha",
        "woman of 52 year old , breast tumor right",
    ),
    ("es", "¿Qué puedes segmentar?", "what can you segment ?"),
    ("es", "cada núcleo por separado", "each nucleus separately"),
    ("es", "Deshacer", "undo"),
    ("pt", "Contorne a próstata, por favor", "outline prostate , please"),
    ("pt", "Qual é a área da lesão de pele?", "what is area of skin lesion ?"),
    ("pt", "desfazer", "undo"),
    ("pt", "pulmão direito", "lung right"),
    ("pt", "os pulmões mas não o coração", "lung but not heart"),
    ("pt", "mantenha apenas o ventrículo esquerdo", "keep only left ventricle"),
    ("pt", "Quantos núcleos existem?", "how many nucleus is there ?"),
    ("pt", "Há derrame pleural?", "is there pleural effusion ?"),
    ("pt", "maior", "bigger"),
    ("pt", "o segundo maior pólipo", "second largest polyp"),
    ("pt", "a máscara 1 está errada", "mask 1 wrong"),
    ("pt", "Suavize as bordas e preencha os buracos", "smooth edge and fill hole"),
    ("pt", "Onde está o tumor no cérebro?", "where is brain tumor ?"),
    ("it", "segmenta il fegato e la milza", "outline liver and spleen"),
    ("it", "qual è il diametro?", "what is diameter ?"),
    ("it", "Quanti nuclei ci sono?", "how many nucleus is there ?"),
    ("it", "solo il polmone sinistro", "only lung left"),
    ("it", "l'utero senza l'endometrio", "uterus without endometrium"),
    ("it", "C'è un versamento pleurico?", "is there pleural effusion ?"),
    ("it", "Dov'è il tumore della pelle?", "where is skin lesion ?"),
    ("it", "più piccolo", "smaller"),
    ("it", "il polipo più piccolo", "polyp smallest"),
    ("it", "un po' più stretto", "a bit tighter"),
    ("it", "Leviga i bordi e riempi i buchi", "smooth edge and fill hole"),
    ("it", "aggiungi l'aorta", "add aorta"),
    ("it", "la maschera 1 è sbagliata", "mask 1 wrong"),
    ("it", "cancella tutto", "remove everything"),
    ("zh", "请分割息肉", "please outline polyp"),
    ("zh", "左肺", "left lung"),
    ("zh", "面积是多少？", "area what is ?"),
    ("zh", "撤销", "undo"),
    ("zh", "请分割肝脏和脾脏，但不包括肿瘤", "please outline liver and spleen , but not tumor"),
    ("zh", "請分割肝臟腫瘤", "please outline liver tumor"),
    ("zh", "只保留左心室", "only keep left ventricle"),
    ("zh", "删除最小的", "remove smallest"),
    ("zh", "有多少个细胞核？", "how many nucleus ?"),
    ("zh", "肿瘤在哪里？", "tumor where is ?"),
    ("zh", "将轮廓扩大5像素", "outline grow 5 px"),
    ("zh", "52岁女性，右侧乳腺肿块", "52 year old woman , right breast tumor"),
    ("zh", "第二大的息肉", "second largest polyp"),
    ("zh", "你好", "hello"),
    ("ja", "前立腺を囲んでください", "prostate outline please"),
    ("ja", "ポリープはありますか？", "polyp is there ?"),
    ("ja", "もっと小さくして", "smaller"),
    ("ja", "視神経乳頭を輪郭描出して", "optic disc outline"),
    ("ja", "心臓以外の肺", "except heart , lung"),
    ("ja", "左心室だけ残して", "left ventricle only keep"),
    ("ja", "細胞核はいくつありますか？", "nucleus how many ?"),
    ("ja", "腫瘍はどこですか？", "tumor where is ?"),
    ("ja", "輪郭を5ピクセル広げて", "outline 5 px grow"),
    ("ja", "縁を滑らかにして、穴を埋めて", "edge smooth , fill hole"),
    ("ja", "2番目に大きいポリープ", "second largest polyp"),
    ("ja", "全部消して", "remove everything"),
    ("ja", "マスク1は間違っています", "mask 1 wrong"),
    ("ja", "元に戻して", "undo"),
]
ENGLISH = [
    *(request for request, *_ in (*EARLIER, *CLINICAL)),
    "the patient did die",
    "a mole, no pus",
    "os and de novo lesion in situ",
    "LA, LV, SI joint, NOS, MI, DES, LOS 3 days, AVC, ICH",
    "sin todo no",
    "erode m2 3px",
    "Dr. Klein and Frau Müller: the mayor lesion",
    "Bruch's membrane, gut, rim and quite a large herd",
    "surface and volume of the second one",
    "dilate by 5 mm, separate it, note the position",
    "segmnt teh pollyp",
    "β cells",
    "grand mal seizure",
    "a large lesion, not the small one",
    "m1",
    "",
    "?!",
]
LONG = "\n".join(request for _, request, _ in REQUESTS)


def english_of(request: str) -> str:
    return " ".join(token.word for token in translate(tokenize(request)).tokens)


@pytest.mark.parametrize(
    ("language", "request_", "english"), REQUESTS, ids=[r[1] for r in REQUESTS]
)
def test_a_request_becomes_english_words(language: str, request_: str, english: str) -> None:
    translated = translate(tokenize(request_))
    assert (translated.language, english_of(request_)) == (language, english)
    assert translated.is_read


def test_every_language_has_a_dozen_requests() -> None:
    languages = [language for language, *_ in REQUESTS]
    assert all(languages.count(language) >= 12 for language in TRANSLATED)


@pytest.mark.parametrize("request_", ENGLISH)
def test_an_english_request_stays_as_it_is(request_: str) -> None:
    tokens = tokenize(request_)
    assert translate(tokens) == Translated(tokens, "en")


@pytest.mark.parametrize("english", sorted({english for *_, english in REQUESTS}))
def test_what_was_translated_is_english(english: str) -> None:
    assert translate(tokenize(english)).language == "en"


def test_every_english_word_carries_the_place_of_its_phrase() -> None:
    request = "Délimitez l'épaule gauche, s'il vous plaît"
    placed = [
        (token.word, request[token.start : token.end])
        for token in translate(tokenize(request)).tokens
    ]
    assert placed == [
        ("outline", "Délimitez"),
        ("shoulder", "l'épaule"),
        ("left", "gauche"),
        (",", ","),
        ("please", "s'il vous plaît"),
    ]


def test_an_unknown_word_stays_with_its_place() -> None:
    request = "Umrande den Flimmerwatt und die Leber"
    translated = translate(tokenize(request)).tokens
    assert [token.word for token in translated] == ["outline", "flimmerwatt", "and", "liver"]
    assert request[translated[1].start : translated[1].end] == "Flimmerwatt"


def test_a_callers_caret_stays() -> None:
    assert english_of("Leber ^ Milz") == "liver ^ spleen"


@pytest.mark.parametrize("ending", ["", ".", "。", "!", " :)"])
@pytest.mark.parametrize(("language", "request_", "english"), REQUESTS[::9])
def test_what_stands_behind_a_request_changes_nothing_before_it(
    language: str, request_: str, english: str, ending: str
) -> None:
    assert english_of(request_ + ending).startswith(english)


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("Löse die größte Läsion", "Loese die groesste Laesion"),
        ("¿HAY UN PÓLIPO?", "¿hay un polipo?"),
        ("L\u2019ÉPAULE GAUCHE", "l'epaule gauche"),
        ("請分割肝臟", "请分割肝脏"),
    ],
)
def test_case_accents_and_other_spellings_do_not_matter(written: str, same: str) -> None:
    assert english_of(written).replace("lose", "loese") == english_of(same)


@given(st.text(max_size=200) | st.text(alphabet=sorted(set(LONG)), max_size=60))
def test_any_text_is_translated_within_its_places(text: str) -> None:
    translated = translate(tokenize(text))
    assert all(0 <= token.start < token.end <= len(text) for token in translated.tokens)
    assert all(token.word for token in translated.tokens)


@given(
    st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=3), st.sampled_from(["zorblax", "qwx"])
)
def test_no_unknown_word_is_lost(chosen: list[tuple[str, str, str]], strange: str) -> None:
    request = " ".join(f"{request}, {strange}." for _, request, _ in chosen)
    words = [token.word for token in translate(tokenize(request)).tokens]
    assert words.count(strange) == len(chosen)
