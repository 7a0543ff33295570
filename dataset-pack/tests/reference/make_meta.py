"""Writes meta.mat and meta-compressed.mat as SciPy does, with the fields of a devkit.

    pip install scipy
    python tests/reference/make_meta.py
"""

import pathlib

import numpy as np
import scipy.io

HERE = pathlib.Path(__file__).parent
FIELDS = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height",
          "num_train_images"]
# In the devkit's order, which is not that of the synset ids; the last has children and is no class.
SYNSETS = [
    (1, "n02119789", "kit fox, Vulpes macrotis", "small grey fox", 0, [], 0, 1300),
    (2, "n02100735", "English setter", "an English breed", 0, [], 0, 1300),
    (3, "n01440764", "tench, Tinca tinca", "freshwater dace", 0, [], 0, 1300),
    (4, "n03950228", "pitcher, ewer", "a vessel … with a lip", 0, [], 0, 1300),
    (1001, "n02083346", "canine, canid", "fissiped mammals", 2, [1, 2], 1, 0),
]


def main():
    synsets = np.zeros((len(SYNSETS), 1), dtype=[(field, object) for field in FIELDS])
    for row, synset in zip(synsets, SYNSETS):
        row[0] = tuple(np.array(value, dtype=np.float64) if field == "children" else value
                       for field, value in zip(FIELDS, synset))
    for name, compress in [("meta.mat", False), ("meta-compressed.mat", True)]:
        scipy.io.savemat(HERE / name, {"synsets": synsets}, do_compression=compress)


if __name__ == "__main__":
    main()
