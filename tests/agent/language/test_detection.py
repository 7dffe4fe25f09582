"""Which language a request is written in."""

# ruff: noqa: RUF001 - signs of other scripts are meant

import pytest

from agent.language.detection import language_of
from agent.language.tokens import tokenize

# A language and a request in it.
REQUESTS = [
    ("nl", "Omlijn de poliep, alstublieft"),
    ("nl", "Hoe groot is de tumor in de linker long?"),
    ("sv", "Markera tumören i vänster lunga, tack"),
    ("da", "Marker venligst polyppen på billedet"),
    ("no", "Vennligst marker svulsten i hjernen"),
    ("fi", "Merkitse polyyppi, kiitos"),
    ("pl", "Zaznacz guz w lewym płucu"),
    ("cs", "Kde je nádor?"),
    ("hu", "Kérem, jelölje a polipot a képen"),
    ("ro", "Vă rog să marcați polipul"),
    ("tr", "Lütfen polipi işaretleyin"),
    ("vi", "Vui lòng phân đoạn phổi trái"),
    ("id", "Tolong segmentasikan paru kanan"),
    ("hr", "Molim označite polip na slici"),
    ("et", "Palun märgistage polüüp pildil"),
    ("ca", "Delinea el pòlip si us plau"),
    ("ru", "Обведите полип, пожалуйста"),
    ("ru", "МРТ: обведите tumor пожалуйста"),
    ("uk", "Де знаходиться пухлина?"),
    ("uk", "Обведіть поліп"),
    ("bg", "Моля, очертайте полипа"),
    ("el", "Σημειώστε τον πολύποδα"),
    ("he", "סמן את הגידול"),
    ("ar", "حدد الورم في الصورة"),
    ("fa", "لطفا پولیپ را مشخص کنید"),
    ("hi", "कृपया ट्यूमर दिखाएं"),
    ("bn", "টিউমার চিহ্নিত করুন"),
    ("ta", "கட்டியைக் குறிக்கவும்"),
    ("th", "โปรดวาดเส้นรอบเนื้องอก"),
    ("ko", "종양은 어디에 있습니까?"),
    ("ka", "მონიშნეთ პოლიპი"),
    ("hy", "Նշեք պոլիպը"),
    ("am", "አሳይ"),
    # Of two that share words, the one that knows more of them.
    ("pt", "Onde está o tumor?"),
    ("es", "¿Dónde está el tumor?"),
    ("it", "Dove si trova il tumore?"),
    ("fr", "Où est la tumeur ?"),
    ("de", "Wo ist der Tumor?"),
    ("zh", "左肺"),
    ("ja", "左肺を"),
    ("ja", "視神経乳頭"),
    # Short and mixed ones.
    ("de", "ja"),
    ("fr", "oui"),
    ("es", "une las dos máscaras"),
    ("fr", "segment le foie"),
    ("zh", "分割polyp"),
    # English, with words and signs of others.
    ("en", "polyp"),
    ("en", "the α-synuclein and the β cells"),
    ("en", "no"),
    ("en", "please outline the polyp of this patient, Herr Wagner, in the image"),
    ("en", "Обведите polyp"),
]


@pytest.mark.parametrize(("language", "request_"), REQUESTS, ids=[r[1] for r in REQUESTS])
def test_a_request_tells_its_language(language: str, request_: str) -> None:
    assert language_of(tokenize(request_)) == language
