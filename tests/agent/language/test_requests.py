"""Requests as clinicians, annotators and programs write them, and what they ask for."""

import pytest

from tests.agent.planners.test_rules import REQUESTS as EARLIER
from tests.agent.planners.test_rules import plan

# (request, DICOM modality or None, labels of the targets in their order)
REQUESTS: list[tuple[str, str | None, list[str]]] = [
    # Chest.
    ("Please segment the pulmonary artery on this CT angiogram", "CT", ["pulmonary artery"]),
    ("outline SVC and IVC", "CT", ["superior vena cava", "inferior vena cava"]),
    ("Any free gas under the diaphragm?", "DX", ["free air"]),
    ("mediastinal mass, please contour", "CT", ["mediastinal mass"]),
    ("Mark every rib", "DX", ["rib"]),
    ("bilateral pleural effusions", "DX", ["pleural effusion"]),
    ("cardiac silhouette", "DX", ["heart"]),
    ("Contour the nasogastric tube", "DX", ["nasogastric tube"]),
    ("lung nodule in the right upper lobe", "CT", ["lung nodule"]),
    ("emphysema", "CT", ["emphysema"]),
    ("pulmonary fibrosis", "CT", ["pulmonary fibrosis"]),
    ("trachea and both lungs", "CT", ["trachea", "lungs"]),
    ("pneumothorax?", "DX", ["pneumothorax"]),
    # Heart and vessels.
    ("LV cavity and myocardium, short axis", "MR", ["left ventricle", "myocardium"]),
    ("mitral valve", "US", ["mitral valve"]),
    ("left atrial appendage", "CT", ["left atrial appendage"]),
    ("Where is the pericardial effusion?", "US", ["pericardial effusion"]),
    ("aortic dissection flap", "CT", ["aortic dissection"]),
    ("carotid plaque", "US", ["carotid artery"]),
    ("thrombus in the vein", "US", ["thrombus"]),
    ("late gadolinium enhancement", "MR", ["myocardial scar"]),
    ("abdominal aortic aneurysm", "CT", ["aortic aneurysm"]),
    # Abdomen.
    ("portal vein", "CT", ["portal vein"]),
    ("right adrenal gland", "CT", ["adrenal gland"]),
    ("Outline the spleen, kidneys and liver", "CT", ["spleen", "kidney", "liver"]),
    ("the pancreas and the pancreatic duct", "CT", ["pancreas", "pancreatic duct"]),
    ("gallstones in the gallbladder", "US", ["gallstone"]),
    ("hydronephrosis", "US", ["hydronephrosis"]),
    ("ascites", "CT", ["ascites"]),
    ("inguinal hernia", "CT", ["hernia"]),
    ("duodenum", "CT", ["duodenum"]),
    ("renal cortex and renal medulla", "CT", ["renal cortex", "renal medulla"]),
    ("visceral fat", "CT", ["visceral fat"]),
    ("kidney tumour on the left", "CT", ["kidney tumor"]),
    # Pelvis and obstetrics.
    ("endometrium", "US", ["endometrium"]),
    ("ovarian follicles", "US", ["ovarian follicle"]),
    ("fetal head circumference", "US", ["fetal head"]),
    ("amniotic fluid", "US", ["amniotic fluid"]),
    ("the placenta", "US", ["placenta"]),
    ("testis", "US", ["testis"]),
    ("seminal vesicles and prostate", "MR", ["seminal vesicle", "prostate"]),
    ("cervical cancer", "MR", ["cervical cancer"]),
    ("uterine fibroids", "US", ["uterine fibroid"]),
    # Bones and joints.
    ("patella", "DX", ["patella"]),
    ("scaphoid", "DX", ["carpal bone"]),
    ("ACL", "MR", ["anterior cruciate ligament"]),
    ("bone marrow oedema", "MR", ["bone marrow edema"]),
    ("sacrum", "CT", ["sacrum"]),
    ("hip replacement", "DX", ["hip prosthesis"]),
    ("median nerve", "US", ["median nerve"]),
    ("spinal canal", "MR", ["spinal canal"]),
    ("compression fracture", "CT", ["vertebral fracture"]),
    ("baker's cyst", "MR", ["baker cyst"]),
    # Head and neck.
    ("hippocampus on both sides", "MR", ["hippocampus"]),
    ("cerebellum and brainstem", "MR", ["cerebellum", "brainstem"]),
    ("acoustic neuroma", "MR", ["vestibular schwannoma"]),
    ("parotid gland", "CT", ["parotid gland"]),
    ("thyroid and its nodules", "US", ["thyroid", "thyroid nodule"]),
    ("cerebral aneurysm", "CT", ["cerebral aneurysm"]),
    ("infarct core", "CT", ["cerebral infarct"]),
    ("white matter lesions", "MR", ["white matter lesion"]),
    ("optic nerves", "MR", ["optic nerve"]),
    ("corpus callosum", "MR", ["corpus callosum"]),
    ("enhancing tumour", "MR", ["enhancing tumor"]),
    # Eye.
    ("hard exudates and haemorrhages", "OP", ["hard exudate", "retinal hemorrhage"]),
    ("geographic atrophy", "OP", ["geographic atrophy"]),
    ("macular hole", "OPT", ["macular hole"]),
    ("epiretinal membrane", "OPT", ["epiretinal membrane"]),
    ("segment cup and disc", "OP", ["optic cup", "optic disc"]),
    ("laser scars", "OP", ["laser scar"]),
    # Endoscopy and surgery.
    ("the instrument, not the tissue", "ES", ["surgical instrument"]),
    ("oesophageal varices", "ES", ["esophageal varices"]),
    ("Barrett's oesophagus", "ES", ["barrett esophagus"]),
    ("all polyps please", "ES", ["polyp"]),
    ("is there bleeding?", "ES", ["bleeding"]),
    ("cystic duct and cystic artery", "ES", ["cystic duct", "cystic artery"]),
    # Skin and wounds.
    ("pigment network", "XC", ["pigment network"]),
    ("psoriasis plaques", "XC", ["psoriasis"]),
    ("burn wound", "XC", ["skin burn"]),
    ("the mole, but not the ruler", "XC", ["skin lesion"]),
    # Microscopy.
    ("glomeruli", "SM", ["glomerulus"]),
    ("tumour stroma", "SM", ["stroma"]),
    ("necrosis", "SM", ["necrosis"]),
    ("mitotic figures", "SM", ["mitosis"]),
    ("white blood cells", "SM", ["white blood cell"]),
    ("malaria parasites", "SM", ["malaria parasite"]),
    ("germinal centres", "SM", ["lymphoid follicle"]),
    # Teeth.
    ("root canal filling", "IO", ["root canal"]),
    ("periapical lesion", "IO", ["periapical lesion"]),
    ("dental implants", "PX", ["dental implant"]),
]


def test_there_are_enough_of_them() -> None:
    assert len({text for text, _, _ in (*EARLIER, *REQUESTS)}) >= 150


@pytest.mark.parametrize(("text", "modality", "labels"), REQUESTS, ids=[r[0] for r in REQUESTS])
def test_a_request_names_its_targets(text: str, modality: str | None, labels: list[str]) -> None:
    assert [target.label for target in plan(text, modality=modality).targets] == labels
