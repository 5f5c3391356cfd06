//! The doctor on boards that do not exist: folders with the files it looks at, and one fault planted in each.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A board on which all is well, for a user in every group.
struct Board(tempfile::TempDir);

impl Board {
    fn well() -> Board {
        let board = Board(tempfile::tempdir().unwrap());
        board.file("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0");
        board.file("etc/nv_tegra_release", "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64");
        board.file("proc/meminfo", "MemTotal:        7990000 kB\nMemFree:  100 kB\nMemAvailable:    6000000 kB\n");
        board.file("proc/self/status", "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t0 20 44 104 105\n");
        board.file("etc/group", "root:x:0:\ndialout:x:20:\nvideo:x:44:\nrender:x:104:\ni2c:x:105:\n");
        board.device("video0");
        board.file("sys/class/video4linux/video0/name", "HD Pro Webcam C920\n");
        board.link("dev/v4l/by-id/usb-046d_C920-video-index0", "../../video0");
        board.device("ttyTHS1");
        board.device("i2c-7");
        board.file("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
        board.file("sys/class/thermal/thermal_zone0/temp", "51000\n");
        let chip = "sys/bus/i2c/drivers/ina3221/1-0040";
        board.file(&format!("{chip}/hwmon/hwmon3/name"), "ina3221\n");
        board.file(&format!("{chip}/hwmon/hwmon3/in1_label"), "VDD_IN\n");
        board.file(&format!("{chip}/hwmon/hwmon3/in1_input"), "5000\n");
        board.file(&format!("{chip}/hwmon/hwmon3/curr1_input"), "1000\n");
        board
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, to: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
    }

    /// A stand-in for a device node, owned by root and open to its group (the tests' user may be anybody: mode 666).
    fn device(&self, name: &str) {
        self.file(&format!("dev/{name}"), "");
        self.mode(name, 0o666);
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path().join("dev").join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recslowfast"));
        command.args(["doctor", "--json", "--config", "/nowhere/recslowfast.toml", "--root"]).arg(self.path()).args(arguments);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr))))
    }

    /// Expects a problem in `area` whose words hold `found`, and whose fix holds `fix`.
    #[track_caller]
    fn ails(&self, arguments: &[&str], area: &str, found: &str, fix: &str) {
        let (code, findings) = self.run(arguments);
        let problem = findings.iter().find(|finding| finding["area"] == area && finding["state"] == "problem");
        let problem = problem.unwrap_or_else(|| panic!("no problem with {area}: {findings:#?}"));
        assert!(problem["found"].as_str().unwrap().contains(found), "{problem}");
        assert!(problem["mend"].as_str().unwrap().contains(fix), "{problem}");
        assert_eq!(code, Some(8));
    }
}

#[test]
fn a_board_that_is_well_has_no_problem_but_the_gpu_it_pretends() {
    let (_, findings) = Board::well().run(&[]);
    for finding in &findings {
        assert!(finding["state"] != "problem" || finding["area"] == "gpu", "{finding}");
    }
    let words = |area: &str| findings.iter().find(|finding| finding["area"] == area).unwrap()["found"].as_str().unwrap().to_owned();
    assert!(words("board").contains("Orin Nano"));
    assert!(words("camera").contains("C920, best named /dev/v4l/by-id/usb-046d_C920-video-index0"));
    assert!(words("power").contains("VDD_IN"));
    assert!(findings.iter().any(|finding| finding["found"].as_str().unwrap().contains("L4T 35.4.1 (JetPack 5)")));
}

#[test]
fn the_camera_keeps_this_user_out() {
    let board = Board::well();
    board.file("proc/self/status", "Uid:\t4999\t4999\t4999\t4999\nGid:\t4999\t4999\t4999\t4999\nGroups:\t4999\n");
    board.mode("video0", 0o600);
    board.ails(&["camera"], "camera", "/dev/video0", "udev rules");
    board.ails(&["groups"], "groups", "not in video", "usermod -aG video");
}

#[test]
fn there_is_no_camera() {
    let board = Board::well();
    fs::remove_file(board.path().join("dev/video0")).unwrap();
    board.ails(&["camera"], "camera", "no /dev/video*", "plug one in");
}

#[test]
fn a_jetson_without_its_driver() {
    // This machine has no GPU, so the engine refuses; on a Jetson that is a problem.
    let (_, findings) = Board::well().run(&["gpu"]);
    if findings[0]["state"] != "ok" {
        Board::well().ails(&["gpu"], "gpu", "cuda", "nvidia-l4t-cuda");
    }
}

#[test]
fn no_rail_is_a_note_and_no_problem() {
    let board = Board::well();
    fs::remove_dir_all(board.path().join("sys/bus")).unwrap();
    let (code, findings) = board.run(&["power"]);
    assert_eq!((code, findings[0]["state"].as_str()), (Some(0), Some("note")));
    assert!(findings[0]["found"].as_str().unwrap().contains("no power sensor"));
    assert!(findings[0]["mend"].as_str().unwrap().contains("ina3221"));
}

#[test]
fn a_console_sits_on_the_uart() {
    let board = Board::well();
    board.file("proc/77/comm", "agetty\n");
    let port = fs::canonicalize(board.path().join("dev/ttyTHS1")).unwrap();
    board.link("proc/77/fd/0", port.to_str().unwrap());
    board.ails(&["serial"], "serial", "busy, agetty (process 77)", "nvgetty");
}

#[test]
fn an_old_jetpack_and_little_memory() {
    let board = Board::well();
    board.file("etc/nv_tegra_release", "# R32 (release), REVISION: 7.1, GCID: 1");
    board.ails(&["board"], "board", "L4T 32.7.1", "JetPack 5");
    board.file("proc/meminfo", "MemTotal: 3990000 kB\nMemAvailable: 200000 kB\n");
    board.ails(&["memory"], "memory", "195 MiB", "desktop");
}

#[test]
fn a_bad_network_and_a_bad_configuration() {
    let board = Board::well();
    board.ails(&["model", "--model", "/nowhere/net"], "model", "/nowhere/net", "--model");
    board.file("bad.toml", "[sauce]\n");
    let bad = board.path().join("bad.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_recslowfast"));
    let output = command.args(["doctor", "config", "--config"]).arg(&bad).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("problem") && said.contains("bad.toml:1:2:") && said.contains("fix: correct the lines"), "{said}");
}

#[test]
fn a_bare_machine_gets_a_line_for_everything_and_a_mend_where_one_is_needed() {
    let board = Board(tempfile::tempdir().unwrap());
    let (code, findings) = board.run(&[]);
    assert_eq!(code, Some(8));
    for area in ["board", "memory", "groups", "camera", "gpu", "power", "serial", "panel", "model", "config"] {
        let of_area: Vec<&Value> = findings.iter().filter(|finding| finding["area"] == area).collect();
        assert!(!of_area.is_empty(), "nothing is said about {area}");
        for finding in of_area {
            assert!(finding["state"] == "ok" || finding["mend"].as_str().is_some_and(|fix| !fix.is_empty()), "{finding}");
        }
    }
    board.ails(&["camera"], "camera", "no /dev/video*", "plug one in");
    let (_, power) = board.run(&["power"]);
    assert!(power[0]["found"].as_str().unwrap().contains("no power sensor") && power[0]["state"] == "note");
}

#[test]
fn an_area_asked_for_alone_is_told_at_length() {
    let board = Board::well();
    let told = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recslowfast"));
        let output = command.args(["doctor", "--config", "/nowhere/recslowfast.toml", "--root"]).arg(board.path()).args(arguments).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let (brief, long) = (told(&[]), told(&["power"]));
    assert!(long.lines().any(|line| line.contains("rail") && line.contains("VDD_IN") && line.contains("5.00 W")), "{long}");
    assert!(long.lines().any(|line| line.contains("zone") && line.contains("cpu-thermal")), "{long}");
    assert!(!brief.contains("cpu-thermal"), "{brief}");
}

#[test]
fn rails_of_which_none_is_the_whole() {
    let board = Board::well();
    board.file("sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/in1_label", "VDD_SIDE\n");
    let (code, findings) = board.run(&["power"]);
    assert_eq!((code, findings[0]["state"].as_str()), (Some(0), Some("note")));
    assert!(findings[0]["found"].as_str().unwrap().contains("VDD_SIDE"), "{}", findings[0]);
    assert!(findings[0]["mend"].as_str().unwrap().contains("--power-rail"), "{}", findings[0]);
}
