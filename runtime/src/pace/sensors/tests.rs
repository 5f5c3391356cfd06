//! Fake trees give the right total, labels and names; sensors that vanish and return are told of once each.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;

fn unpack(tree: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for line in tree.lines().filter(|line| !line.trim().is_empty()) {
        let (path, content) = line.split_once('=').unwrap();
        let path = root.path().join(path.trim());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content.trim() {
            "!" => fs::create_dir(path).unwrap(),
            content => fs::write(path, content.replace("\\0", "\0").replace("\\n", "\n") + "\n").unwrap(),
        }
    }
    root
}

fn write(root: &Path, path: &str, value: &str) {
    fs::write(root.join(path), value).unwrap();
}

/// A tree, and what it must give: model, L4T, JetPack, mode, total's label(s), mW, degrees, MHz.
struct Expected {
    tree: &'static str,
    model: &'static str,
    l4t: &'static str,
    jetpack: u32,
    mode: Option<&'static str>,
    labels: &'static [&'static str],
    total: &'static [&'static str],
    power_mw: f32,
    temp_c: f32,
    clock_hz: u64,
}

#[test]
fn every_board_gives_its_total_labels_and_names() {
    let boards = [
        Expected {
            tree: include_str!("../../../tests/trees/nano-jetpack4.tree"),
            model: "NVIDIA Jetson Nano Developer Kit",
            l4t: "32.7.5",
            jetpack: 4,
            mode: Some("MAXN"),
            labels: &["POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU"],
            total: &["POM_5V_IN"],
            power_mw: 4680.0,
            temp_c: 44.5,
            clock_hz: 76_800_000,
        },
        Expected {
            tree: include_str!("../../../tests/trees/xavier-nx-jetpack4.tree"),
            model: "NVIDIA Jetson Xavier NX Developer Kit",
            l4t: "32.7.1",
            jetpack: 4,
            mode: Some("MODE_15W_6CORE"),
            labels: &["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"],
            total: &["VDD_IN"],
            power_mw: 8120.0,
            temp_c: 42.5,
            clock_hz: 1_109_250_000,
        },
        Expected {
            tree: include_str!("../../../tests/trees/xavier-nx-jetpack5.tree"),
            model: "NVIDIA Jetson Xavier NX Developer Kit",
            l4t: "35.4.1",
            jetpack: 5,
            mode: None,
            labels: &["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"],
            total: &["VDD_IN"],
            power_mw: 7440.0,
            temp_c: 40.5,
            clock_hz: 114_750_000,
        },
        Expected {
            tree: include_str!("../../../tests/trees/orin-nano-jetpack6.tree"),
            model: "NVIDIA Jetson Orin Nano Developer Kit",
            l4t: "36.4.3",
            jetpack: 6,
            mode: Some("25W"),
            labels: &["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"],
            total: &["VDD_IN"],
            power_mw: 5032.0,
            temp_c: 49.062,
            clock_hz: 306_000_000,
        },
        Expected {
            tree: include_str!("../../../tests/trees/agx-orin-jetpack5.tree"),
            model: "NVIDIA Jetson AGX Orin Developer Kit",
            l4t: "35.4.1",
            jetpack: 5,
            mode: Some("MODE_30W"),
            labels: &["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"],
            total: &["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"],
            power_mw: 3200.0 + 800.0 + 4500.0,
            temp_c: 46.0,
            clock_hz: 306_000_000,
        },
        Expected {
            tree: include_str!("../../../tests/trees/agx-orin-jetpack6.tree"),
            model: "NVIDIA Jetson AGX Orin Developer Kit",
            l4t: "36.4.0",
            jetpack: 6,
            mode: Some("MODE_30W"),
            labels: &["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"],
            total: &["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"],
            power_mw: 8500.0,
            temp_c: 46.0,
            clock_hz: 306_000_000,
        },
        Expected {
            tree: include_str!("../../../tests/trees/thor-jetpack7.tree"),
            model: "NVIDIA Jetson AGX Thor Developer Kit",
            l4t: "38.2.0",
            jetpack: 7,
            mode: Some("120W"),
            labels: &["VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0", "VIN"],
            total: &["VIN"],
            power_mw: 31_250.0,
            temp_c: 41.5,
            clock_hz: 315_000_000,
        },
    ];
    for expected in boards {
        let root = unpack(expected.tree);
        let mut sensors = Sensors::discover(root.path());
        let found = sensors.found();
        let board = &found.board;
        assert_eq!(board.model.as_deref(), Some(expected.model));
        assert_eq!((board.l4t.as_deref(), board.jetpack), (Some(expected.l4t), Some(expected.jetpack)));
        assert_eq!(board.power_mode.as_deref(), expected.mode);
        let labels: Vec<_> = found.rails.iter().map(|rail| rail.label.as_str()).collect();
        assert_eq!(labels, expected.labels, "{}", expected.model);
        let total: Vec<_> = found.rails.iter().filter(|rail| rail.in_total).map(|rail| rail.label.as_str()).collect();
        assert_eq!(total, expected.total, "{}", expected.model);
        let reading = sensors.read(Duration::ZERO).unwrap();
        assert_eq!(reading.power_mw, Some(expected.power_mw), "{}", expected.model);
        assert_eq!(reading.temp_c, Some(expected.temp_c), "{}", expected.model);
        assert_eq!(reading.gpu_clock_hz, Some(expected.clock_hz), "{}", expected.model);
        assert!(!reading.over_current);
    }
}

#[test]
fn the_doctor_marks_what_is_taken_as_the_total_and_what_is_silent() {
    let root = unpack(include_str!("../../../tests/trees/orin-nano-jetpack6.tree"));
    let text = Sensors::discover(root.path()).found().to_string();
    for line in [
        "board        NVIDIA Jetson Orin Nano Developer Kit",
        "Jetson Linux 36.4.3 (JetPack 6)",
        "power mode   25W",
        "rail       * VDD_IN                   5.03 W  ina3221 1-0040",
        "rail         VDD_SOC                  1.49 W  ina3221 1-0040",
        "total        VDD_IN (it feeds everything else)",
        "zone         cv0-thermal              silent",
        "zone       * tj-thermal              49.06 C",
        "GPU clock    17000000.gpu, at most 1020 MHz",
        "sampled      every 125 ms",
    ] {
        assert!(text.lines().any(|found| found == line), "'{line}' is missing from\n{text}");
    }
}

#[test]
fn sampling_is_no_faster_than_the_chip_converts_and_keeps_step_with_nothing() {
    let root = unpack(include_str!("../../../tests/trees/orin-nano-jetpack6.tree"));
    let mut sensors = Sensors::discover(root.path());
    let times: Vec<u64> = (0..10_000).filter(|&ms| sensors.read(Duration::from_millis(ms)).is_some()).collect();
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (112..=138).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap < 120) && gaps.iter().any(|gap| *gap > 130));
}

#[test]
fn a_sensor_that_vanishes_and_returns_elsewhere_is_told_of_once_each() {
    let root = unpack(include_str!("../../../tests/trees/orin-nano-jetpack6.tree"));
    let device = root.path().join("sys/bus/i2c/drivers/ina3221/1-0040");
    let mut sensors = Sensors::discover(root.path());
    let mut told = Vec::new();
    for ms in (0..30_000).step_by(50) {
        match ms {
            5_000 => fs::rename(device.join("hwmon"), root.path().join("away")).unwrap(),
            15_000 => {
                fs::create_dir(device.join("hwmon")).unwrap();
                fs::rename(root.path().join("away/hwmon1"), device.join("hwmon/hwmon7")).unwrap();
            }
            _ => {}
        }
        if let Some(reading) = sensors.read(Duration::from_millis(ms)) {
            let silent = (5_000..15_000).contains(&ms);
            assert!(!(silent && reading.power_mw.is_some()), "{ms}");
            assert!(reading.power_mw.is_some() || silent || (15_000..17_200).contains(&ms), "{ms}");
        }
        told.extend(sensors.take_events());
    }
    assert_eq!(told, [Event { sensor: "power", returned: false }, Event { sensor: "power", returned: true }]);
    assert!(told[0].to_string().contains("only latency"));
}

#[test]
fn over_current_alarms_and_throttling_counts_are_heeded() {
    let root = unpack(include_str!("../../../tests/trees/orin-nano-jetpack6.tree"));
    let mut sensors = Sensors::discover(root.path());
    let at = |sensors: &mut Sensors, s: u64| sensors.read(Duration::from_secs(s)).unwrap().over_current;
    assert!(!at(&mut sensors, 0), "counts from before the start are history");
    write(root.path(), "sys/class/hwmon/hwmon0/oc3_event_cnt", "3\n");
    assert!(at(&mut sensors, 1));
    assert!(!at(&mut sensors, 2));
    write(root.path(), "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr1_crit_alarm", "1\n");
    assert!(at(&mut sensors, 3));
}

#[test]
fn rapl_counters_become_power_and_may_wrap() {
    let root = unpack(include_str!("../../../tests/trees/desktop-rapl.tree"));
    let mut sensors = Sensors::discover(root.path());
    assert_eq!(sensors.read(Duration::from_secs(1)).unwrap().power_mw, None, "one count is no power yet");
    write(root.path(), "sys/class/powercap/intel-rapl:0/energy_uj", "262143300000\n");
    assert_eq!(sensors.read(Duration::from_secs(2)).unwrap().power_mw, Some(300.0));
    write(root.path(), "sys/class/powercap/intel-rapl:0/energy_uj", "14971150\n");
    assert_eq!(sensors.read(Duration::from_secs(3)).unwrap().power_mw, Some(15_000.0));
    assert_eq!(sensors.read(Duration::from_secs(4)).unwrap().temp_c, Some(51.0), "the package counts, not the case");
    assert!(sensors.found().to_string().contains("RAPL package-0"));
}

#[test]
fn nothing_found_is_said_and_gives_empty_readings() {
    let root = tempfile::tempdir().unwrap();
    let mut sensors = Sensors::discover(root.path());
    assert_eq!(sensors.read(Duration::ZERO), Some(Reading::default()));
    assert!(!sensors.has_power() && !sensors.has_temperature() && sensors.take_events().is_empty());
    let text = sensors.found().to_string();
    assert!(text.contains("no power sensor") && text.contains("no thermal zone"), "{text}");
}

#[test]
fn a_rail_may_be_named_and_a_chip_without_names_is_assumed_to_begin_with_the_input() {
    let nameless = "sys/bus/i2c/drivers/ina3221/3-0040/hwmon/hwmon0/in1_input = 12000\n\
                    sys/bus/i2c/drivers/ina3221/3-0040/hwmon/hwmon0/curr1_input = 500\n\
                    sys/bus/i2c/drivers/ina3221/3-0040/hwmon/hwmon0/in2_input = 5000\n\
                    sys/bus/i2c/drivers/ina3221/3-0040/hwmon/hwmon0/curr2_input = 100\n";
    let root = unpack(nameless);
    assert_eq!(Sensors::discover(root.path()).read(Duration::ZERO).unwrap().power_mw, Some(6000.0));
    assert!(Sensors::discover(root.path()).found().to_string().contains("assumed"));
    let mut named = Sensors::discover_with(root.path(), Some("ina3221 3-0040 channel 2"));
    assert_eq!(named.read(Duration::ZERO).unwrap().power_mw, Some(500.0));
}
