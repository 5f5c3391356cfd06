"""Prometheus' own parser reads /metrics, and the figures are true: metrics.py BINARY. Needs prometheus-client."""

import sys
import time

from prometheus_client.parser import text_string_to_metric_families
from service import Service

with Service(sys.argv[1]) as service:
    while len(service.records) < 30:
        time.sleep(0.1)
    status, headers, body = service.get("/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    for name, family in families.items():
        assert name.startswith(("recslowfast_", "process_")) and family.documentation, name
        assert not any(unit in name for unit in ("_ms", "_mw", "_percent", "_kib")), f"{name} has no base unit"
        for sample in family.samples:
            assert family.type != "counter" or sample.name.endswith("_total"), sample.name

    def value(name, **labels):
        samples = [sample for family in families.values() for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    frames = value("recslowfast_frames_total")
    steps = sum(record["steps"] for record in service.records[: int(frames)])
    assert 25 <= frames <= len(service.records) + 5, frames
    assert value("recslowfast_steps_total") == steps, (value("recslowfast_steps_total"), steps)
    assert value("recslowfast_stops_total") == frames == value("recslowfast_frame_age_seconds_count")
    stages = {sample.labels["stage"] for sample in families["recslowfast_stage_seconds"].samples}
    assert stages == {"fit", "encode", "step", "steps", "readout"}
    for stage in stages:
        median, tail = (value("recslowfast_stage_seconds", stage=stage, quantile=share) for share in ("0.5", "0.99"))
        assert 0 < median <= tail, stage
    assert value("recslowfast_stage_seconds_count", stage="encode") == frames
    buckets = [sample.value for sample in families["recslowfast_frame_age_seconds"].samples if sample.name.endswith("_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] == frames
    assert value("recslowfast_camera_state", state="streaming") == 1 and value("recslowfast_healthy") == 1
    seen = sum(len(record["detections"]) for record in service.records[: int(frames)])
    assert value("recslowfast_class_detections_total") == seen, (value("recslowfast_class_detections_total"), seen)
    assert value("process_resident_memory_bytes") > 1e6 and value("process_cpu_seconds_total") > 0
    print(f"{len(families)} families, {sum(len(family.samples) for family in families.values())} samples, accepted and true")
