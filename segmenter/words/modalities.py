"""What kinds of picture are called. Pure."""

# One word for each kind, and what else it is called; singular, lower case, American.
_SYNONYMS = {
    "angiography": "angiogram, angiographic",
    "colonoscopy": "colonoscopic, sigmoidoscopy",
    "ct": "cat scan, computed tomography, tomography, cect, hrct",
    "dermoscopy": "dermoscopic, dermatoscopy, dermatoscopic, dermatoscope, skin photo, "
    "skin photograph, skin image",
    "echocardiography": "echocardiogram, echo",
    "endoscopy": "endoscopic",
    "fundus": "fundoscopy, funduscopy, ophthalmoscopy, retina photo, retina photograph, "
    "retina image, retinal photograph, retinal image",
    "mammography": "mammogram, mammographic, mammo",
    "microscopy": "microscope, microscopic, histology, histopathology, histopathological, "
    "histological, fluorescence, hematoxylin, eosin, dapi, tissue slide, whole slide",
    "mri": "mr, magnetic resonance, t1, t2, t1w, t2w",
    "oct": "optical coherence tomography",
    "pet": "scintigraphy, spect",
    "ultrasound": "ultrasonography, ultrasonic, sonography, sonogram, sonographic, usg",
    "x ray": "xray, radiograph, radiography, roentgenogram, cxr, chest film, plain film",
}
MODALITY_WORDS = {name: (name, *words.split(", ")) for name, words in _SYNONYMS.items()}


def modality_words(word: str) -> tuple[str, ...]:
    """Return all that the kind of picture is called which has this name; else the word alone."""
    return MODALITY_WORDS.get(word, (word,))
