//! What waits to be said, in the order of its importance and never more than a few lines of each kind.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use firmware_bridge::{Ack, Log, LogLevel, SetReportRate, Telemetry, text};

/// Acknowledgements that wait at most; then commands are not read on.
const ACKS: usize = 64;
/// Detections and log lines that wait at most; then the oldest is dropped.
const NEWS: usize = 32;
/// Log lines that may be sent at once, and then one in each [`LOG_EVERY`].
const LOG_BURST: u32 = 5;
const LOG_EVERY: Duration = Duration::from_secs(1);
/// How often the other end hears of us until it asks for something else.
const RATES: SetReportRate = SetReportRate { status_period_ms: 200, detections_period_ms: 100 };

/// What to say next.
#[derive(Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one lives at a time, on the stack of the thread that says it")]
pub(super) enum Next {
    /// An acknowledgement.
    Ack(Ack),
    /// Who we are.
    Hello,
    /// How we are.
    Status,
    /// What has been seen or logged.
    News(Telemetry),
    /// Nothing, for now.
    Silence,
    /// Nothing, any more.
    End,
}

/// What a command asks to be said or done here, once it has been acknowledged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Asked {
    /// A greeting.
    Hello,
    /// A status now.
    Status,
    /// Reports at other rates from now on.
    Rates(SetReportRate),
}

pub(super) struct TxQueue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    acks: VecDeque<Ack>,
    news: VecDeque<Telemetry>,
    hello: bool,
    status: bool,
    status_due: Instant,
    rates: SetReportRate,
    log_credit: u32,
    log_refill: Instant,
    dropped: u64,
    closed: bool,
    ended: bool,
}

impl State {
    fn ask(&mut self, asked: Asked) {
        match asked {
            Asked::Hello => self.hello = true,
            Asked::Status => self.status = true,
            Asked::Rates(rates) => (self.rates, self.status_due) = (rates, Instant::now()),
        }
    }
}

impl TxQueue {
    pub(super) fn new() -> TxQueue {
        let now = Instant::now();
        let state = State {
            acks: VecDeque::with_capacity(ACKS),
            news: VecDeque::with_capacity(NEWS),
            hello: false,
            status: false,
            status_due: now,
            rates: RATES,
            log_credit: LOG_BURST,
            log_refill: now,
            dropped: 0,
            closed: false,
            ended: false,
        };
        TxQueue { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.notify_all();
        changed
    }

    /// Leaves an acknowledgement, waiting for room: it is never dropped but when the queue is closed or the line has `ended` meanwhile. What was
    /// `asked` for is said after it.
    pub(super) fn ack(&self, ack: Ack, asked: Option<Asked>, ended: &AtomicBool) {
        let mut state = self.state();
        while state.acks.len() == ACKS && !state.closed && !ended.load(Ordering::Relaxed) {
            state = self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        if !state.closed && state.acks.len() < ACKS {
            state.acks.push_back(ack);
            if let Some(asked) = asked {
                state.ask(asked);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Leaves news; the oldest go when there are too many.
    pub(super) fn news(&self, telegram: Telemetry) {
        self.change(|state| {
            if state.news.len() == NEWS {
                state.news.pop_front();
                state.dropped += 1;
            }
            state.news.push_back(telegram);
        });
    }

    /// Leaves a log line, if not too many came before it.
    pub(super) fn log(&self, level: log::Level, uptime_ms: u32, words: &str) {
        let level = match level {
            log::Level::Error => LogLevel::Error,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Info => LogLevel::Info,
            log::Level::Debug | log::Level::Trace => LogLevel::Debug,
        };
        let admitted = self.change(|state| {
            let earned = (state.log_refill.elapsed().as_millis() / LOG_EVERY.as_millis()) as u32;
            if earned > 0 {
                state.log_refill = Instant::now();
                state.log_credit = state.log_credit.saturating_add(earned).min(LOG_BURST);
            }
            let admitted = state.log_credit > 0;
            state.log_credit = state.log_credit.saturating_sub(1);
            admitted
        });
        if admitted {
            self.news(Telemetry::Log(Log { level, uptime_ms, text: text(words) }));
        }
    }

    /// The line has ended: who waits for room on it need not wait any longer.
    pub(super) fn line_ended(&self, ended: &AtomicBool) {
        self.change(|_| ended.store(true, Ordering::Relaxed));
    }

    /// Takes what is asked for without a command.
    pub(super) fn ask(&self, asked: Asked) {
        self.change(|state| state.ask(asked));
    }

    /// How often to report.
    pub(super) fn rates(&self) -> SetReportRate {
        self.state().rates
    }

    /// What to say next, waiting for it up to `most`.
    pub(super) fn next(&self, most: Duration) -> Next {
        let until = Instant::now() + most;
        let mut state = self.state();
        loop {
            if let Some(ack) = state.acks.pop_front() {
                drop(state);
                self.changed.notify_all();
                return Next::Ack(ack);
            }
            if state.closed {
                return Next::End;
            }
            if std::mem::take(&mut state.hello) {
                return Next::Hello;
            }
            let now = Instant::now();
            let period = Duration::from_millis(state.rates.status_period_ms.into());
            let due = !period.is_zero() && now >= state.status_due;
            if due || state.status {
                state.status = false;
                state.status_due = now + period;
                return Next::Status;
            }
            if let Some(news) = state.news.pop_front() {
                return Next::News(news);
            }
            if now >= until {
                return Next::Silence;
            }
            let until = if period.is_zero() { until } else { until.min(state.status_due) };
            state = self.changed.wait_timeout(state, until - now).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    /// Detections and log lines that were dropped because the line was slow.
    pub(super) fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// Nothing more will be said, but for the acknowledgements that wait.
    pub(super) fn close(&self) {
        self.change(|state| state.closed = true);
    }

    /// Whether [`TxQueue::close`] was called.
    pub(super) fn closed(&self) -> bool {
        self.state().closed
    }

    /// The thread that empties this queue has ended.
    pub(super) fn has_ended(&self) {
        self.change(|state| state.ended = true);
    }

    /// Waits until the emptying thread has ended; false if it takes longer than `most`.
    pub(super) fn wait_for_end(&self, most: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), most, |state| !state.ended);
        waited.is_ok_and(|(state, _)| state.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firmware_bridge::{AckResult, Detections};

    static GOES_ON: AtomicBool = AtomicBool::new(false);

    fn ack(sequence: u16) -> Ack {
        Ack { sequence, kind: 0x43, result: AckResult::Done }
    }

    fn seen(frame: u32) -> Telemetry {
        Telemetry::Detections(Detections { frame, ..Detections::default() })
    }

    #[test]
    fn the_oldest_news_go_first_and_acknowledgements_never() {
        let tx_queue = TxQueue::new();
        tx_queue.ask(Asked::Rates(SetReportRate::default()));
        (0..ACKS as u16).for_each(|sequence| tx_queue.ack(ack(sequence), None, &GOES_ON));
        (0..100).for_each(|frame| tx_queue.news(seen(frame)));
        (0..ACKS as u16).for_each(|sequence| assert_eq!(tx_queue.next(Duration::ZERO), Next::Ack(ack(sequence))));
        (68..100).for_each(|frame| assert_eq!(tx_queue.next(Duration::ZERO), Next::News(seen(frame))));
        assert_eq!((tx_queue.next(Duration::ZERO), tx_queue.dropped()), (Next::Silence, 68));
    }

    #[test]
    fn one_acknowledgement_too_many_waits_for_room() {
        let tx_queue = TxQueue::new();
        (0..ACKS as u16).for_each(|sequence| tx_queue.ack(ack(sequence), None, &GOES_ON));
        std::thread::scope(|scope| {
            let late = scope.spawn(|| tx_queue.ack(ack(999), None, &GOES_ON));
            std::thread::sleep(Duration::from_millis(50));
            assert!(!late.is_finished());
            assert_eq!(tx_queue.next(Duration::ZERO), Next::Ack(ack(0)));
            late.join().unwrap();
        });
    }

    #[test]
    fn nobody_waits_for_room_on_a_line_that_has_ended() {
        let tx_queue = TxQueue::new();
        let ended = AtomicBool::new(false);
        (0..ACKS as u16).for_each(|sequence| tx_queue.ack(ack(sequence), None, &ended));
        std::thread::scope(|scope| {
            let late = scope.spawn(|| tx_queue.ack(ack(999), Some(Asked::Status), &ended));
            tx_queue.line_ended(&ended);
            late.join().unwrap();
        });
        (0..ACKS as u16).for_each(|sequence| assert_eq!(tx_queue.next(Duration::ZERO), Next::Ack(ack(sequence))));
    }

    #[test]
    fn a_status_comes_at_its_rate_or_when_asked() {
        let tx_queue = TxQueue::new();
        tx_queue.ask(Asked::Rates(SetReportRate { status_period_ms: 40, detections_period_ms: 0 }));
        let began = Instant::now();
        (0..4).for_each(|_| assert_eq!(tx_queue.next(Duration::from_secs(5)), Next::Status));
        assert!(began.elapsed() >= Duration::from_millis(120), "{:?}", began.elapsed());
        tx_queue.ask(Asked::Rates(SetReportRate::default()));
        assert_eq!(tx_queue.next(Duration::from_millis(50)), Next::Silence);
        tx_queue.ask(Asked::Status);
        tx_queue.ask(Asked::Hello);
        assert_eq!((tx_queue.next(Duration::ZERO), tx_queue.next(Duration::ZERO)), (Next::Hello, Next::Status));
        tx_queue.close();
        assert_eq!(tx_queue.next(Duration::from_secs(5)), Next::End);
    }

    #[test]
    fn what_a_command_asks_for_is_said_after_its_acknowledgement() {
        let tx_queue = TxQueue::new();
        tx_queue.ask(Asked::Rates(SetReportRate::default()));
        tx_queue.ack(ack(1), Some(Asked::Status), &GOES_ON);
        assert_eq!((tx_queue.next(Duration::ZERO), tx_queue.next(Duration::ZERO)), (Next::Ack(ack(1)), Next::Status));
    }

    #[test]
    fn a_flood_of_log_lines_is_cut_short() {
        let tx_queue = TxQueue::new();
        tx_queue.ask(Asked::Rates(SetReportRate::default()));
        (0..1000).for_each(|_| tx_queue.log(log::Level::Warn, 5, "the camera is gone\nagain"));
        let heard = std::iter::from_fn(|| Some(tx_queue.next(Duration::ZERO)).filter(|next| *next != Next::Silence)).count();
        assert_eq!(heard, LOG_BURST as usize);
    }
}
