//! `governor-sim [SCENARIO]` prints the table; `governor-sim plots DIR` also draws every scenario into DIR;
//! `governor-sim cost` measures what a decision costs; `governor-sim frames SCENARIO` prints the governor's run frame by frame.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use recslowfast::pace::{Observation, Reading};

use recslowfast_governor_sim::governed::Governed;
use recslowfast_governor_sim::{plot, scenario, table, world};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, name] = arguments.as_slice()
        && verb == "frames"
    {
        for scenario in scenario::all().iter().filter(|scenario| scenario.name == name) {
            println!("captured_s,age_ms,late,steps,limit,reason,accuracy,watts,degrees");
            let run = world::run(scenario, &mut Governed(scenario.governor()));
            for fate in &run.fates {
                let tenth = ((fate.captured * 10.0) as usize).min(run.plant.watts.len() - 1);
                println!(
                    "{:.3},{:.1},{},{},{},{},{:.3},{:.2},{:.1}",
                    fate.captured,
                    1e3 * fate.age,
                    fate.late,
                    fate.steps,
                    fate.limit,
                    fate.reason,
                    fate.accuracy,
                    run.plant.watts[tenth],
                    run.plant.degrees[tenth]
                );
            }
        }
        return Ok(());
    }
    if arguments == ["cost"] {
        cost();
        return Ok(());
    }
    let wanted = |name: &str| arguments.first().is_none_or(|first| first == "plots" || first == name);
    let verdicts: Vec<_> = scenario::all().iter().filter(|scenario| wanted(scenario.name)).map(table::judge).collect();
    print!("{}", table::table(&verdicts));
    if let [verb, folder] = arguments.as_slice()
        && verb == "plots"
    {
        std::fs::create_dir_all(folder)?;
        for verdict in &verdicts {
            let path = Path::new(folder).join(format!("{}.svg", verdict.scenario.name));
            std::fs::write(&path, plot::svg(&verdict.scenario, &verdict.run))?;
            println!("{}", path.display());
        }
    }
    Ok(())
}

/// Times a frame's decision (plan and observe, one sensor reading in three) with every loop at work.
fn cost() {
    let scenario = scenario::all().into_iter().find(|scenario| scenario.name == "everything").expect("the scenario exists");
    let mut governor = scenario.governor();
    let frames = 300_000u32;
    let start = Instant::now();
    for frame in 0..frames {
        let now = Duration::from_millis(33) * frame;
        if frame.is_multiple_of(3) {
            let reading = Reading { power_mw: Some(15_000.0 + (frame % 7) as f32), temp_c: Some(74.0), ..Reading::default() };
            governor.sense(now, &reading);
        }
        let plan = black_box(governor.plan(now, Duration::from_millis(2)));
        let ms = Duration::from_millis;
        let seen = Observation {
            steps: plan.limit,
            encode: ms(3),
            stepping: ms(2) * plan.limit,
            readout: ms(1),
            age: ms(24),
            wanted_more: true,
            ..Observation::default()
        };
        governor.observe(now + ms(20), &seen);
    }
    println!("{:.3} us a frame", start.elapsed().as_secs_f64() * 1e6 / f64::from(frames));
}
