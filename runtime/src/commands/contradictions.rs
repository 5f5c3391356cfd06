//! Flags that are well-formed each, and cannot be had together.

use super::run::{Args, ReportTo};

impl Args {
    /// What does not go together: the flag to change, and why.
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        self.reports_that_collide(&mut found);
        for flag in self.bounds_without_record() {
            found.push((
                flag,
                format!("{}: nothing is recorded; say where to (--record FILE.mcap), or take it away", flag.replace('-', " ")),
            ));
        }
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

    fn reports_that_collide(&self, found: &mut Vec<(&'static str, String)>) {
        let reports = self.reports();
        let (terminal, json) = (reports.contains(&ReportTo::Terminal), reports.contains(&ReportTo::Json));
        if terminal && json {
            found.push(("report", "report: terminal and json would both write to standard output; keep one".into()));
        }
        for (at, report) in reports.iter().enumerate() {
            if reports[..at].iter().any(|earlier| earlier.place() == report.place()) {
                found.push(("report", format!("report: {} is given twice", report.place())));
            }
        }
    }
}
