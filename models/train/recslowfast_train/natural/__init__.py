"""Networks for natural video: detection (`street`) and segmentation (`camvid`), trained with a state carried over frames.

| module | holds |
|---|---|
| `encoder` | the MobileNetV2 encoder and the reader of its COCO weights |
| `network` | the recurrent network and its feed-forward twins |
| `pack` | data sets as one archive of small pictures |
| `scenes` | slots of a batch: camera paths over stills, clips, targets, all on the training device |
| `boxes` | box targets, losses, decoding, non-maximum suppression, average precision |
| `train` | the training loop |
| `evaluate` | accuracy by number of steps, cold and carried |
| `release` | a network's folder: ONNX graphs and model.toml |
"""
