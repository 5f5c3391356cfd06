//! Which results a sink receives: `every=`, `on=change`, `classes=`, `score=`, `area=`, `zone=`, `min_frames=`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Audience, Sink, SinkError};
use crate::telemetry::{Detection, Detections, Region, Report};

/// The settings, behind what they are for: `json,every=1s,classes=person+car`.
const KEYS: &str = "every=SECONDS (or 200ms), on=change, classes=NAME+NAME, score=0..1, area=PIXELS, zone=X:Y/X:Y/X:Y or min_frames=N";

/// Which reports a sink receives, and which detections they hold. Everything that is set has to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// At most one report in this time.
    pub every: Option<Duration>,
    /// Only reports whose classes or tracks differ from those of the last one told.
    pub on_change: bool,
    /// Names of the classes that are told; empty for all.
    pub classes: Vec<String>,
    /// The least score.
    pub score: Option<f32>,
    /// The least area, in pixels of the source's picture.
    pub area: Option<f32>,
    /// The corners of a polygon in pixels of the source's picture: told is what stands in it, by the middle of its lower edge.
    pub zone: Vec<[f32; 2]>,
    /// The least number of frames that a track has been seen.
    pub min_frames: Option<u32>,
}

impl Filter {
    /// Takes the settings off the end of `given`; answers what is left.
    ///
    /// # Errors
    /// A sentence that names the setting that cannot be.
    pub fn split(given: &str) -> Result<(&str, Filter), String> {
        let (mut rest, mut filter) = (given, Filter::default());
        let mut set: Vec<&str> = Vec::new();
        while let Some((before, last)) = rest.rsplit_once(',') {
            let Some((key, value)) = last.split_once('=') else { break };
            if set.contains(&key) {
                return Err(format!("'{last}': {key} is given twice"));
            }
            set.push(key);
            if !filter.set(key, value).map_err(|reason| format!("'{last}': {reason}; write {KEYS}"))? {
                break;
            }
            rest = before;
        }
        Ok((rest, filter))
    }

    /// Sets one; false if it is not one of these.
    fn set(&mut self, key: &str, value: &str) -> Result<bool, String> {
        let number =
            || value.parse::<f32>().ok().filter(|number| number.is_finite() && *number >= 0.0).ok_or("a number is wanted".to_owned());
        match key {
            "every" => self.every = Some(duration(value)?),
            "on" if value == "change" => self.on_change = true,
            "on" => return Err("there is only on=change".into()),
            "classes" => {
                self.classes = value.split('+').map(str::to_owned).collect();
                if self.classes.iter().any(String::is_empty) {
                    return Err("a class has no name".into());
                }
            }
            "score" => self.score = Some(number()?).filter(|score| *score <= 1.0).map(Some).ok_or("a score is 0 to 1")?,
            "area" => self.area = Some(number()?),
            "zone" => self.zone = polygon(value)?,
            "min_frames" => self.min_frames = Some(value.parse().map_err(|_| "a whole number is wanted".to_owned())?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        *self == Filter::default()
    }

    /// The first class name that the network does not know.
    pub fn unknown_class(&self, classes: &[String]) -> Option<&str> {
        self.classes.iter().find(|name| !classes.contains(name)).map(String::as_str)
    }

    fn lets(&self, seen: &Detection, classes: &[String]) -> bool {
        let named = || classes.get(usize::from(seen.class)).is_some_and(|name| self.classes.contains(name));
        (self.classes.is_empty() || named())
            && self.score.is_none_or(|least| seen.score >= least)
            && self.area.is_none_or(|least| seen.area >= least)
            && self.min_frames.is_none_or(|least| seen.track_frames >= least)
            && (self.zone.is_empty() || is_inside(foot(&seen.region), &self.zone))
    }
}

/// `1.5`, `1.5s` or `200ms`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds = number.parse::<f64>().ok().map(|number| number * unit).filter(|seconds| *seconds > 0.0);
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).ok_or_else(|| "a time is wanted, for example 1s or 200ms".into())
}

fn polygon(text: &str) -> Result<Vec<[f32; 2]>, String> {
    let corner = |text: &str| {
        let (x, y) = text.split_once(':')?;
        let number = |text: &str| text.parse::<f32>().ok().filter(|number| number.is_finite());
        Some([number(x)?, number(y)?])
    };
    let corners: Option<Vec<_>> = text.split('/').map(corner).collect();
    corners
        .filter(|corners| corners.len() >= 3 && encloses(corners))
        .ok_or_else(|| "three corners or more that enclose something are wanted, X:Y/X:Y/X:Y in pixels of the camera's picture".into())
}

/// Whether a polygon is more than a line.
fn encloses(corners: &[[f32; 2]]) -> bool {
    let [x, y] = corners[0];
    let [dx, dy] = corners.iter().map(|at| [at[0] - x, at[1] - y]).find(|at| *at != [0.0; 2]).unwrap_or_default();
    corners.iter().any(|at| (at[0] - x) * dy != (at[1] - y) * dx)
}

/// Where something stands: the middle of its lower edge.
fn foot(region: &Region) -> [f32; 2] {
    [region.x + region.width / 2.0, region.y + region.height]
}

/// Whether a point lies in a polygon, by the edges that a ray to its right crosses.
fn is_inside([x, y]: [f32; 2], corners: &[[f32; 2]]) -> bool {
    let edges = corners.iter().zip(corners.iter().cycle().skip(1));
    edges.filter(|([x0, y0], [x1, y1])| (*y0 > y) != (*y1 > y) && x < (x1 - x0) * (y - y0) / (y1 - y0) + x0).count() % 2 == 1
}

/// A sink that is told what its filter lets through.
pub struct Filtered {
    sink: Box<dyn Sink>,
    filter: Filter,
    classes: Arc<[String]>,
    told: Option<Instant>,
    /// Class and track of what the last report told.
    last: Option<Vec<(u8, u32)>>,
}

impl Filtered {
    /// `sink` behind `filter`; without any setting, `sink` itself. `classes` are the model's class names.
    pub fn over(sink: Box<dyn Sink>, filter: Filter, classes: Arc<[String]>) -> Box<dyn Sink> {
        if filter.is_empty() { sink } else { Box::new(Filtered { sink, filter, classes, told: None, last: None }) }
    }
}

impl Sink for Filtered {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        let now = Instant::now();
        if self.filter.every.is_some_and(|every| self.told.is_some_and(|told| now - told < every)) {
            return Ok(());
        }
        let detections: Detections = report.detections.iter().filter(|seen| self.filter.lets(seen, &self.classes)).cloned().collect();
        if self.filter.on_change {
            let mut present: Vec<_> = detections.iter().map(|seen| (seen.class, seen.track)).collect();
            present.sort_unstable();
            if self.last.as_ref() == Some(&present) {
                return Ok(());
            }
            self.last = Some(present);
        }
        self.told = Some(now);
        self.sink.show(&Report { detections, ..report.clone() })
    }

    fn pulse(&self) -> Option<Duration> {
        self.sink.pulse()
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        self.sink.idle()
    }

    fn audience(&self) -> Option<Audience> {
        self.sink.audience()
    }

    fn tiles_audience(&self) -> Option<Audience> {
        self.sink.tiles_audience()
    }

    fn wants_mask(&self) -> bool {
        self.sink.wants_mask()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.sink.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn filter(text: &str) -> Filter {
        let given = format!("json,{text}");
        let (rest, filter) = Filter::split(&given).unwrap();
        assert_eq!(rest, "json");
        filter
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Vec<u32>>>>);

    impl Sink for Kept {
        fn show(&mut self, report: &Report) -> Result<(), SinkError> {
            self.0.lock().unwrap().push(report.detections.iter().map(|seen| seen.track).collect());
            Ok(())
        }
    }

    fn seen(class: u8, track: u32) -> Detection {
        let region = Region { x: 10.0 * track as f32, y: 0.0, width: 10.0, height: 20.0 };
        Detection { class, track, region, area: 200.0, score: 0.5, track_frames: track, ..Detection::default() }
    }

    /// What is told of these reports.
    fn told(settings: &str, reports: &[&[Detection]]) -> Vec<Vec<u32>> {
        let kept = Kept::default();
        let mut sink = Filtered::over(Box::new(kept.clone()), filter(settings), Arc::from(["person".to_owned(), "car".to_owned()]));
        for detections in reports {
            sink.show(&Report { detections: Detections::from_slice(detections).unwrap(), ..Report::for_tests(1) }).unwrap();
        }
        kept.0.lock().unwrap().clone()
    }

    #[test]
    fn settings_stand_behind_what_they_are_for() {
        let (rest, filter) = Filter::split("mavlink:/dev/ttyTHS1@921600,fov=70,classes=person+car,score=0.4,every=200ms").unwrap();
        assert_eq!(rest, "mavlink:/dev/ttyTHS1@921600,fov=70");
        assert_eq!((filter.classes.len(), filter.score, filter.every), (2, Some(0.4), Some(Duration::from_millis(200))));
        assert_eq!(Filter::split("snapshot:a,b=c.png").unwrap(), ("snapshot:a,b=c.png", Filter::default()));
        assert_eq!(super::Filter::split("json").unwrap().1, Filter::default());
    }

    #[test]
    fn what_cannot_be_is_named() {
        for given in [
            "every=0",
            "every=soon",
            "on=sight",
            "score=2",
            "score=x",
            "area=-1",
            "zone=1:2/3:4",
            "zone=1:1/2:2/3:3",
            "zone=a",
            "min_frames=-1",
            "classes=",
        ] {
            let reason = Filter::split(&format!("json,{given}")).unwrap_err();
            assert!(reason.contains(given), "{reason}");
        }
        assert_eq!(filter("classes=person+dog").unknown_class(&["person".into()]), Some("dog"));
    }

    #[test]
    fn detections_below_a_setting_are_not_told() {
        assert_eq!(told("classes=car", &[&[seen(0, 1), seen(1, 2)]]), [vec![2]]);
        assert_eq!(told("min_frames=2", &[&[seen(0, 1), seen(1, 2)]]), [vec![2]]);
        assert_eq!(told("score=0.6", &[&[seen(0, 1)]]), [vec![0; 0]]);
        assert_eq!(told("area=201", &[&[seen(0, 1)]]), [vec![0; 0]]);
        assert_eq!(told("area=200", &[&[seen(0, 1)]]), [vec![1]]);
    }

    #[test]
    fn a_zone_holds_what_stands_in_it() {
        // The feet are at 15,20 and 25,20.
        assert_eq!(told("zone=12:10/18:10/18:30/12:30", &[&[seen(0, 1), seen(0, 2)]]), [vec![1]]);
        // A concave one: its notch is outside.
        assert_eq!(told("zone=0:0/30:0/30:30/20:30/20:10/10:10/10:30/0:30", &[&[seen(0, 1), seen(0, 2)]]), [vec![2]]);
    }

    #[test]
    fn on_change_the_same_is_told_once() {
        let reports: [&[Detection]; 6] = [&[], &[seen(0, 1)], &[seen(0, 1)], &[seen(0, 1), seen(1, 2)], &[seen(1, 2), seen(0, 1)], &[]];
        assert_eq!(told("on=change", &reports), [vec![], vec![1], vec![1, 2], vec![]]);
    }

    #[test]
    fn too_soon_nothing_is_told() {
        assert_eq!(told("every=60s", &[&[seen(0, 1)], &[seen(0, 2)]]), [vec![1]]);
    }
}
