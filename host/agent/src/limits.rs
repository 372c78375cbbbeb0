//! The bounds of the loop. Each is tested at its value and one above.

use std::time::Duration;

/// Model turns of one execution, unless `--max-turns` says otherwise. Long jobs take some hundred.
pub const MAX_TURNS: u32 = 1000;

/// Calls that run at once.
pub const PARALLEL_CALLS: usize = stigmer_policy::limits::PARALLEL_CALLS;

/// Calls that one turn may make. Models make a handful; thousands would be a flood of journal entries.
pub const CALLS_PER_TURN: usize = 128;

/// Tool result, in bytes, that the model gets whole. About 8,000 tokens: several of them fit into any context.
pub const RESULT_BYTES: usize = 32 << 10;

/// Bytes of the head that the model gets of a longer result. Most output says first what it is.
pub const RESULT_HEAD_BYTES: usize = 16 << 10;

/// Bytes of the tail that the model gets of a longer result. Errors stand at the end.
pub const RESULT_TAIL_BYTES: usize = 8 << 10;

/// Bytes of a whole result that the journal keeps.
pub const FULL_BYTES: usize = 8 << 20;

/// Equal calls with equal results, running, at which the model is warned.
pub const LOOP_WARN: u32 = 3;

/// Equal calls with equal results, running, at which the execution ends.
pub const LOOP_END: u32 = 6;

/// Times that one request is sent, the first included.
pub const TRIES: u32 = 5;

/// Pauses before the second and later tries; jitter adds up to a quarter.
pub const WAITS: [Duration; TRIES as usize - 1] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// Longest `retry-after` that is waited for; a longer one is reported instead.
pub const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Time without a byte from the model after which the stream counts as cut. Providers send pings well below it, and a
/// local model may need minutes to read a long prompt.
pub const STALL: Duration = Duration::from_secs(300);

/// Bytes of one model answer on the wire. The longest answers are a few hundred thousand tokens.
pub const ANSWER_BYTES: usize = 32 << 20;

/// Bytes of one line or event of a model's stream.
pub const STREAM_EVENT_BYTES: usize = 4 << 20;

/// Bytes of a provider's error body that are read; the rest says nothing new.
pub const ERROR_BODY_BYTES: usize = 16 << 10;

/// Answers running that reach their length before the execution ends: by then the model is not getting anywhere.
pub const CUT_SHORT: u32 = 3;

/// Bytes of text in one delta event. A record of an event is bounded, and JSON may need six bytes for one.
pub const TEXT_DELTA_BYTES: usize = 8 << 10;
