"""The part of the package that needs numpy alone, against the program: python models/export/tests/quick.py PROGRAM"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np

from recslowfast import Network, Refused
from recslowfast.manifest import manifest
from recslowfast.verify import difference, same_boxes

PROGRAM = sys.argv.pop() if len(sys.argv) > 1 else "recslowfast"


def film(count, side=64):
    y, x = np.mgrid[0:side, 0:side]
    return [np.uint8(np.hypot(x - 20 - 3 * at, y - 30) < 9) * 200 for at in range(count)]


class Carried(unittest.TestCase):
    def test_a_network_answers_carries_its_state_and_forgets_it(self):
        with Network("pathfinder-hgru", halt="fixed:2", program=PROGRAM) as network:
            frames = [frame[None, None] / np.float32(255) for frame in film(3)]
            seen = [network.advance(frame) for frame in frames]
            self.assertEqual([steps for steps, _ in seen], [2, 2, 2])
            self.assertEqual(seen[0][1]["logits"].shape, tuple(network.about["answers"][0]["shape"]))
            self.assertEqual(set(network.states), {state["name"] for state in network.about["states"]})
            carried = network.advance(frames[0])[1]["logits"]
            network.reset()
            fresh = network.advance(frames[0])[1]["logits"]
            np.testing.assert_array_equal(fresh, seen[0][1]["logits"])
            self.assertGreater(difference(carried, fresh), 1e-3)
            self.assertTrue(all(region["class"] == "contour" for region in network.read({"logits": fresh})))

    def test_a_picture_is_normalised_as_model_toml_says(self):
        with Network("pathfinder-hgru", program=PROGRAM) as network:
            for frame in film(2):
                network.advance(frame)
                np.testing.assert_allclose(network.held["input"][0, 0], frame / np.float32(255), atol=1e-6)

    def test_what_does_not_fit_is_refused_before_it_is_sent(self):
        with Network("pathfinder-hgru", program=PROGRAM) as network:
            self.assertRaises(ValueError, network.advance, np.zeros((1, 3, 64, 64), np.float32))
            self.assertRaises(ValueError, network.advance, np.zeros((64, 64, 4), np.uint8))
            network.advance(film(1)[0])

    def test_a_network_that_is_not_there_says_so(self):
        with self.assertRaises(Refused) as refused:
            Network("nothing-of-that-name", program=PROGRAM)
        self.assertIn("nothing-of-that-name", str(refused.exception))


class Written(unittest.TestCase):
    def test_the_manifest_that_is_written_is_one_the_program_reads(self):
        """All but its graphs, which are not there: they alone are missed."""
        states = [{"name": "hidden", "shape": [1, 4, 8, 8]}, {"name": "old", "shape": [1, 1, 8, 8], "moves": "frame"}]
        boxes = {"kind": "boxes", "classes": ["a", "b"], "boxes": {"format": "ltrb", "strides": [8]}, "thresholds": {"a": 0.4}}
        for task in ({"kind": "raw"}, {"kind": "matte"}, {"kind": "classes", "classes": ["ü", 'say "b"']}, boxes):
            with tempfile.TemporaryDirectory() as folder:
                text = manifest("mine", (1, 3, 32, 64), [0.5] * 3, [0.25] * 3, task, states, halting={"rule": "fixed"}, about={"licence": "MIT"})
                (pathlib.Path(folder) / "model.toml").write_text(text, encoding="utf-8")
                said = subprocess.run([PROGRAM, "inspect", folder], stderr=subprocess.PIPE, text=True).stderr
                self.assertIn("3 mistakes", said, text)
                self.assertEqual(said.count("cannot read"), 3, said)

    def test_boxes_are_held_against_their_partners(self):
        box = {"class": "a", "box": [0, 0, 10, 10], "score": 0.5}
        moved = {**box, "box": [0, 0, 10, 12]}
        self.assertEqual([same_boxes([], []), same_boxes([box], [box]), same_boxes([box], [moved]), same_boxes([box], [])], [1, 1, 0, 0])


if __name__ == "__main__":
    unittest.main()
