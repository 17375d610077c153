"""Makes compliance/names/common_words.csv: how often words occur among OFAC's primary names, by their sound.

python -m tests.names.make_common_words
"""

import csv
from collections import Counter
from pathlib import Path

from compliance.names.words import words_of

ROOM = Path(__file__).parents[2] / "compliance" / "names"
AT_LEAST = 4


def main() -> None:
    counts: Counter[str] = Counter()
    with (ROOM / "evaluation" / "ofac.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["subject"] in {"person", "organisation"}:
                words = words_of(row["name"], company=row["subject"] == "organisation")
                counts.update({word.sound().folds[0] for word in words if not word.initial})
    with (ROOM / "common_words.csv").open("w", encoding="utf-8") as file:
        file.write("fold,count\n")
        file.writelines(f"{fold},{count}\n" for fold, count in sorted(counts.items()) if count >= AT_LEAST)


if __name__ == "__main__":
    main()
