//! The options of a MAVLink sink on the command line.

use std::str::FromStr;

use crate::report::PortSpec;

/// `PORT[@BAUD][,fov=DEGREES][,object=METRES][,system=N]`
#[derive(Clone, Debug, PartialEq)]
pub struct MavlinkSpec {
    /// The port.
    pub port: PortSpec,
    /// How wide the camera sees, in degrees across the picture.
    pub fov_deg: f32,
    /// How wide the things are that the network knows, in metres; without it no distances are guessed.
    pub object_m: Option<f32>,
    /// The vehicle's system id.
    pub system: u8,
}

impl FromStr for MavlinkSpec {
    type Err = String;

    fn from_str(given: &str) -> Result<MavlinkSpec, String> {
        let (mut fov_deg, mut object_m, mut system) = (60.0, None, 1);
        let mut port = String::new();
        for (at, part) in given.split(',').enumerate() {
            match part.split_once('=') {
                Some(("fov", degrees)) => match degrees.parse() {
                    Ok(degrees) if (1.0..=170.0).contains(&degrees) => fov_deg = degrees,
                    _ => return Err(format!("'{degrees}' is no field of view from 1 to 170 degrees")),
                },
                Some(("object", metres)) => match metres.parse() {
                    Ok(metres) if (0.01..=100.0).contains(&metres) => object_m = Some(metres),
                    _ => return Err(format!("'{metres}' is no width from 0.01 to 100 metres")),
                },
                Some(("system", id)) => match id.parse() {
                    Ok(id) if id > 0 => system = id,
                    _ => return Err(format!("'{id}' is no system id from 1 to 255")),
                },
                _ if at == 0 => port.push_str(part),
                _ if part == "rtscts" => port.push_str(",rtscts"),
                _ => return Err(format!("'{part}' is not known here; write fov=DEGREES, object=METRES, system=N or rtscts")),
            }
        }
        Ok(MavlinkSpec { port: port.parse()?, fov_deg, object_m, system })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_follow_the_port() {
        let spec: MavlinkSpec = "/dev/ttyTHS1@921600,fov=78.5,object=0.5,system=7".parse().unwrap();
        assert_eq!((spec.port.baud, spec.fov_deg, spec.object_m, spec.system), (921_600, 78.5, Some(0.5), 7));
        let spec: MavlinkSpec = "/dev/ttyTHS1".parse().unwrap();
        assert_eq!((spec.port.baud, spec.fov_deg, spec.object_m, spec.system), (115_200, 60.0, None, 1));
        for given in ["", "/dev/x,fov=0", "/dev/x,object=-1", "/dev/x,system=0", "/dev/x,what=1", "/dev/x,fov=nan"] {
            assert!(given.parse::<MavlinkSpec>().is_err(), "{given}");
        }
    }
}
