"""Whether a discovery message of Home Assistant is one: its topic and its keys, by what the manual of the MQTT integration documents.

Written from the tables "Configuration variables" of https://www.home-assistant.io/integrations/mqtt (discovery, device, origin, availability)
and of the components binary_sensor, sensor and camera. `problems(topic, payload)` answers what is wrong, in words.
"""
import json
import re

TOPIC = re.compile(r"^[^/]+/(?P<component>[a-z_]+)/(?:(?P<node>[A-Za-z0-9_-]+)/)?(?P<object>[A-Za-z0-9_-]+)/config$")

TEXT, NUMBER, FLAG, TEXTS, ANY = "text", "number", "flag", "texts", "any"
DEVICE = {
    "identifiers": ANY, "connections": ANY, "name": TEXT, "manufacturer": TEXT, "model": TEXT, "model_id": TEXT, "sw_version": TEXT,
    "hw_version": TEXT, "serial_number": TEXT, "suggested_area": TEXT, "via_device": TEXT, "configuration_url": TEXT,
}
ORIGIN = {"name": TEXT, "sw_version": TEXT, "support_url": TEXT}
COMMON = {
    "availability": ANY, "availability_mode": TEXT, "availability_template": TEXT, "availability_topic": TEXT, "payload_available": TEXT,
    "payload_not_available": TEXT, "device": ANY, "origin": ANY, "enabled_by_default": FLAG, "encoding": TEXT, "entity_category": TEXT,
    "entity_picture": TEXT, "icon": TEXT, "json_attributes_template": TEXT, "json_attributes_topic": TEXT, "name": TEXT, "object_id": TEXT,
    "default_entity_id": TEXT, "platform": TEXT, "unique_id": TEXT,
}
STATEFUL = {"state_topic": TEXT, "value_template": TEXT, "qos": NUMBER, "expire_after": NUMBER, "force_update": FLAG, "device_class": TEXT}
COMPONENTS = {
    "binary_sensor": COMMON | STATEFUL | {"payload_on": TEXT, "payload_off": TEXT, "off_delay": NUMBER},
    "sensor": COMMON | STATEFUL | {"options": TEXTS, "state_class": TEXT, "unit_of_measurement": TEXT, "suggested_display_precision": NUMBER,
                                   "last_reset_value_template": TEXT},
    "camera": COMMON | {"topic": TEXT, "image_encoding": TEXT},
}
REQUIRED = {"binary_sensor": ["state_topic"], "sensor": ["state_topic"], "camera": ["topic"]}
BINARY_CLASSES = {
    "battery", "battery_charging", "carbon_monoxide", "cold", "connectivity", "door", "garage_door", "gas", "heat", "light", "lock", "moisture",
    "motion", "moving", "occupancy", "opening", "plug", "power", "presence", "problem", "running", "safety", "smoke", "sound", "tamper", "update",
    "vibration", "window",
}
# The units that each device class of a sensor admits, of those that concern a board.
UNITS = {
    "power": {"mW", "W", "kW", "MW", "GW", "TW"}, "temperature": {"°C", "°F", "K"}, "duration": {"d", "h", "min", "s", "ms", "µs"},
    "energy": {"J", "kJ", "Wh", "kWh"}, "frequency": {"Hz", "kHz", "MHz", "GHz"}, "enum": {None}, "timestamp": {None},
}
STATE_CLASSES = {"measurement", "measurement_angle", "total", "total_increasing"}


def topic_is_publishable(topic):
    return isinstance(topic, str) and 0 < len(topic.encode()) < 65536 and not set(topic) & set("+#\0")


def _kinds(own, known, where):
    for key, value in own.items():
        kind = known.get(key)
        if kind is None:
            yield f"{where} has no key '{key}'"
        elif kind == TEXT and not (isinstance(value, str) or value is None and key == "name"):
            yield f"{where}.{key} is no text"
        elif kind == NUMBER and (isinstance(value, bool) or not isinstance(value, int)):
            yield f"{where}.{key} is no number"
        elif kind == FLAG and not isinstance(value, bool):
            yield f"{where}.{key} is neither true nor false"
        elif kind == TEXTS and not (isinstance(value, list) and value and all(isinstance(one, str) for one in value)):
            yield f"{where}.{key} is no list of texts"


def _template(text, where):
    if text.count("{{") != text.count("}}") or text.count("{%") != text.count("%}") or not ("{{" in text or "{%" in text):
        yield f"{where} is no template: {text}"


def problems(topic, payload):
    """All that is wrong with one retained message; empty if Home Assistant makes an entity of it."""
    found = []
    match = TOPIC.match(topic)
    if not match:
        return [f"'{topic}' is no discovery topic (PREFIX/COMPONENT/[NODE/]OBJECT/config)"]
    component = match["component"]
    if component not in COMPONENTS:
        return [f"{topic}: no component '{component}' is known here"]
    try:
        entity = json.loads(payload)
    except ValueError as error:
        return [f"{topic}: no JSON: {error}"]
    found += _kinds(entity, COMPONENTS[component], component)
    found += [f"{component}.{key} is missing" for key in REQUIRED[component] if key not in entity]
    if "device" in entity:
        device = entity["device"]
        found += _kinds(device, DEVICE, "device")
        if not (device.get("identifiers") or device.get("connections")):
            found.append("a device needs identifiers or connections")
        if not re.match(r"^(https?|homeassistant)://", device.get("configuration_url", "http://")):
            found.append("device.configuration_url is no http, https or homeassistant address")
        if not entity.get("unique_id"):
            found.append("an entity of a device needs a unique_id")
    if "origin" in entity:
        found += _kinds(entity["origin"], ORIGIN, "origin")
        if not entity["origin"].get("name"):
            found.append("origin.name is missing")
    if "availability" in entity and "availability_topic" in entity:
        found.append("availability and availability_topic exclude each other")
    if entity.get("entity_category") not in (None, "config", "diagnostic"):
        found.append(f"no entity_category '{entity['entity_category']}'")
    for key in ("state_topic", "availability_topic", "topic", "json_attributes_topic"):
        if key in entity and not topic_is_publishable(entity[key]):
            found.append(f"{key} '{entity[key]}' is no topic")
    for key in [key for key in entity if key.endswith("_template")]:
        found += _template(entity[key], key)
    kind = entity.get("device_class")
    if component == "binary_sensor" and kind is not None and kind not in BINARY_CLASSES:
        found.append(f"binary_sensor has no device_class '{kind}'")
    if component == "sensor":
        if kind is not None and kind not in UNITS:
            found.append(f"no device_class '{kind}' is known here")
        elif kind is not None and entity.get("unit_of_measurement") not in UNITS[kind]:
            found.append(f"a {kind} is not told in '{entity.get('unit_of_measurement')}'")
        if entity.get("state_class") not in STATE_CLASSES | {None}:
            found.append(f"no state_class '{entity['state_class']}'")
        if "options" in entity and (kind != "enum" or "state_class" in entity or "unit_of_measurement" in entity):
            found.append("options go with device_class enum, without state_class and unit")
        if kind == "enum" and "options" not in entity:
            found.append("an enum needs its options")
    if component == "camera" and entity.get("image_encoding") not in (None, "b64"):
        found.append("image_encoding is b64, or not given")
    return [f"{topic}: {words}" for words in found]


def self_test():
    """The validator finds what it is for."""
    good = {"state_topic": "a/state", "value_template": "{{ value_json.x }}", "unique_id": "a_x", "device": {"identifiers": ["a"]},
            "device_class": "power", "unit_of_measurement": "W"}
    topic = "homeassistant/sensor/a/x/config"
    assert not problems(topic, json.dumps(good))
    wrong = [{"state_topic": None}, {"stat_topic": "a"}, {"value_template": "{{ x }"}, {"unit_of_measurement": "V"}, {"device_class": "strength"},
             {"device": {"identifiers": []}}, {"device": {"identifiers": ["a"], "firmware": "1"}}, {"unique_id": ""}, {"state_topic": "a/#"},
             {"options": ["a"]}, {"state_class": "mean"}, {"entity_category": "main"}, {"origin": {}}]
    for change in wrong:
        assert problems(topic, json.dumps(good | change)), f"{change} was let through"
    assert problems("homeassistant/sensor/a b/config", json.dumps(good)) and problems(topic, "{")


if __name__ == "__main__":
    self_test()
    print("discovery: the validator finds 15 of 15 planted mistakes")
