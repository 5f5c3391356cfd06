//! Flags that are well-formed each, and cannot be had together.

use std::path::PathBuf;

use super::report_to::Destination;
use super::run::Args;
use crate::service::places;
use crate::sources;

impl Args {
    /// What does not go together: the flag to change, and why.
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        self.reports_that_collide(&mut found);
        self.inputs_written_over(&mut found);
        for flag in self.bounds_without_record() {
            found.push((
                flag,
                format!("{}: nothing is recorded; say where to (--record FILE.mcap), or take it away", flag.replace('-', " ")),
            ));
        }
        if let Some(reason) = self.refused_around() {
            found.push(("record-around", format!("record around: {reason}")));
        }
        // Known before anything is opened, so that `check` finds it and a service stays down.
        if let Some(path) = self.record() {
            if path.extension().is_none_or(|ending| ending != "mcap") {
                found.push(("record", format!("record: {}: the file's name must end in .mcap", path.display())));
            } else if path.is_dir() {
                found.push(("record", format!("record: {} is a folder; name a file in it", path.display())));
            }
        }
        self.mqtt().contradictions(&self.brokers(), &mut found);
        if let Some(page) = self.page() {
            let token = self.page_token();
            if !page.is_loopback() && token.is_none() {
                let words = format!(
                    "page: {page} can be reached from other machines; give a page token (16 characters or more), or listen on 127.0.0.1"
                );
                found.push(("page", words));
            }
            if token
                .is_some_and(|token| token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)))
            {
                found.push(("page-token", "page token: 16 or more letters, digits, '-' or '_' are needed".into()));
            }
        } else if self.page_token().is_some() {
            found.push((
                "page-token",
                "page token: there is no page to protect; add page listen (--page 127.0.0.1:8088), or take the token away".into(),
            ));
        }
        found
    }

    /// Outputs that are the source, the network or the configuration, under whatever name.
    fn inputs_written_over(&self, found: &mut Vec<(&'static str, String)>) {
        let source = self.source().and_then(sources::path);
        let mut kept: Vec<PathBuf> = self.config().map(PathBuf::from).into_iter().collect();
        kept.extend(["model.toml", "encoder.onnx", "step.onnx", "readout.onnx"].map(|file| self.model().join(file)));
        let over = |output: &PathBuf| kept.iter().find(|kept| kept.exists() && places::same(output, kept));
        let over = |output: &PathBuf| over(output).map(|kept| format!("{} is {}, which is read", output.display(), kept.display()));
        for report in self.reports() {
            let Some(output) = report.to.file() else { continue };
            if let Some(words) = source.as_ref().and_then(|source| places::collision(&output, source)).or_else(|| over(&output)) {
                found.push(("report", format!("report: {words}")));
            }
        }
        if let Some(output) = self.record() {
            let (output, bounded) = (output.to_owned(), self.record_limit().is_some());
            let collision = source.as_ref().and_then(|source| places::recording_collision(&output, bounded, source));
            if let Some(words) = collision.or_else(|| over(&output)) {
                found.push(("record", format!("record: {words}")));
            }
        }
    }

    fn reports_that_collide(&self, found: &mut Vec<(&'static str, String)>) {
        let reports = self.reports();
        let goes = |to: Destination| reports.iter().any(|report| report.to == to);
        let (terminal, json) = (goes(Destination::Terminal), goes(Destination::Json));
        if terminal && json {
            found.push(("report", "report: terminal and json would both write to standard output; keep one".into()));
        }
        for (at, report) in reports.iter().enumerate() {
            if reports[..at].iter().any(|earlier| earlier.to.place() == report.to.place()) {
                found.push(("report", format!("report: {} is given twice", report.to.place())));
            }
        }
    }
}
