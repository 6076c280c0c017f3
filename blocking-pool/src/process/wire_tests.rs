use super::*;

const LIMIT: u32 = 1 << 20;

/// A small generator of numbers (splitmix64); a failure tells its seed.
struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    /// Mostly short, now and then long.
    fn bytes(&mut self) -> Vec<u8> {
        let end = [1, 20, 300, 100_000][self.below(4)];
        (0..self.below(end)).map(|_| self.number() as u8).collect()
    }

    fn text(&mut self) -> String {
        (0..self.below(50)).map(|_| ['a', 'é', '組', '\n'][self.below(4)]).collect()
    }

    fn function(&mut self) -> Function {
        let mut bytes = [0; Function::SIZE];
        bytes.fill_with(|| self.number() as u8);
        Function::from_bytes(&bytes)
    }

    fn panic(&mut self) -> RemotePanic {
        let location = (self.below(2) == 0).then(|| self.text());
        let backtrace = (self.below(2) == 0).then(|| self.text());
        RemotePanic::new(self.text(), location, backtrace)
    }

    fn failure(&mut self) -> CallFailure {
        match self.below(5) {
            0 => CallFailure::Argument(self.text()),
            1 => CallFailure::Result(self.text()),
            2 => CallFailure::TooLarge { size: self.number(), limit: self.number() },
            3 => CallFailure::Foreign,
            _ => CallFailure::Types,
        }
    }

    /// Appends a frame, and returns what a decoder must make of it.
    fn request(&mut self, out: &mut Vec<u8>) -> String {
        let (function, argument) = (self.function(), self.bytes());
        let request = if self.below(3) == 0 {
            let initializer = (self.below(2) == 0).then_some((function, &argument[..]));
            let hello = Hello { fingerprint: self.number(), frame_limit: self.number() as u32, initializer };
            encode_hello(out, &hello);
            Request::Hello(hello)
        } else {
            let id = self.number();
            encode_call(out, id, function, &argument);
            Request::Call { id, function, argument: &argument }
        };
        format!("{request:?}")
    }

    fn reply(&mut self, out: &mut Vec<u8>) -> String {
        let (id, bytes, text) = (self.number(), self.bytes(), self.text());
        let (panic, failure) = (self.panic(), self.failure());
        let reply = match self.below(6) {
            0 => {
                encode_ready(out);
                Reply::Ready
            }
            1 => {
                encode_refused(out, &text);
                Reply::Refused { text }
            }
            2 => {
                encode_initializer_failed(out, &panic);
                Reply::InitializerFailed { panic }
            }
            3 => {
                let Ok(()) = encode_value_with::<Infallible>(out, id, |out| {
                    out.extend(&bytes);
                    Ok(())
                });
                Reply::Value { id, bytes: &bytes }
            }
            4 => {
                encode_panicked(out, id, &panic);
                Reply::Panicked { id, panic }
            }
            _ => {
                encode_failed(out, id, &failure);
                Reply::Failed { id, failure }
            }
        };
        format!("{reply:?}")
    }
}

#[test]
fn random_frames_cut_at_random_places() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let of_pool = random.below(2) == 0;
        let mut stream = Vec::new();
        let sent: Vec<String> = (0..random.below(20))
            .map(|_| if of_pool { random.request(&mut stream) } else { random.reply(&mut stream) })
            .collect();
        let largest = [2, 30, 5000, 200_000][random.below(4)];
        let mut decoder = Decoder::new(LIMIT);
        let mut received = Vec::new();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((1 + random.below(largest)).min(rest.len()));
            decoder.extend(piece);
            rest = later;
            // Now and then frames wait, so that the buffer shifts with some in it.
            while !rest.is_empty() && random.below(3) > 0 || rest.is_empty() {
                let next = if of_pool {
                    decoder.next_request().unwrap().map(|frame| format!("{frame:?}"))
                } else {
                    decoder.next_reply().unwrap().map(|frame| format!("{frame:?}"))
                };
                let Some(next) = next else { break };
                received.push(next);
            }
        }
        assert!(received == sent, "seed {seed}");
        decoder.end().unwrap();
    }
}

fn call(argument: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_call(&mut out, 7, Random(1).function(), argument);
    out
}

fn decode(bytes: &[u8]) -> Result<bool, WireError> {
    let mut decoder = Decoder::new(100);
    decoder.extend(bytes);
    decoder.next_request().map(|frame| frame.is_some())
}

#[test]
fn a_corrupt_header_is_an_error_before_its_body_comes() {
    let good = call(&[1; 100]);
    assert_eq!(decode(&good), Ok(true));
    assert_eq!(decode(&good[..HEADER - 1]), Ok(false));
    let with = |place: usize, byte: u8| {
        let mut header = good[..HEADER].to_vec();
        header[place] = byte;
        decode(&header)
    };
    assert_eq!(with(0, 124), Ok(false));
    assert_eq!(with(0, 125), Err(WireError::TooLarge { length: 125, limit: 124 }));
    assert_eq!(with(3, 0xff), Err(WireError::TooLarge { length: 0xff00_007c, limit: 124 }));
    for kind in [0, 3, 64, Kind::Ready as u8, Kind::Value as u8, 255] {
        assert_eq!(with(4, kind), Err(WireError::UnknownKind(kind)));
    }
    for place in 5..8 {
        assert_eq!(with(place, 1), Err(WireError::Reserved));
    }
    assert_eq!(with(4, Kind::Hello as u8), Err(WireError::Reserved), "hello has no id");
}

#[test]
fn the_stream_may_end_between_frames_only() {
    let bytes = call(&[]);
    for end in 0..=bytes.len() {
        let mut decoder = Decoder::new(100);
        decoder.extend(&bytes[..end]);
        let _ = decoder.next_request().unwrap();
        let cut = Err(WireError::Truncated { arrived: end });
        assert_eq!(decoder.end(), if end == 0 || end == bytes.len() { Ok(()) } else { cut });
    }
}

#[test]
fn bodies_too_short_or_too_long_are_malformed() {
    let mut frames = Vec::new();
    for seed in 0..50 {
        let mut frame = Vec::new();
        Random(seed).reply(&mut frame);
        frames.push(frame);
    }
    for frame in frames.iter().filter(|frame| frame[4] != Kind::Value as u8) {
        let length = frame.len() - HEADER;
        for (wrong, body) in
            [(length + 1, [&frame[HEADER..], &[0]].concat()), (length / 2, frame[HEADER..].into())]
        {
            if wrong == length {
                continue;
            }
            let mut bytes = frame[..HEADER].to_vec();
            bytes[..4].copy_from_slice(&(wrong as u32).to_le_bytes());
            bytes.extend(&body[..wrong]);
            let mut decoder = Decoder::new(LIMIT);
            decoder.extend(&bytes);
            assert_eq!(decoder.next_reply(), Err(WireError::Body { kind: frame[4] }), "{frame:?}");
        }
    }
}

#[test]
fn memory_follows_what_has_arrived() {
    let mut decoder = Decoder::new(MAX_FRAME_LIMIT);
    let mut header = call(&[])[..HEADER].to_vec();
    header[..4].copy_from_slice(&0xf000_0000_u32.to_le_bytes());
    decoder.extend(&header);
    assert_eq!(decoder.next_request(), Ok(None));
    let mut arrived = HEADER;
    for _ in 0..200 {
        decoder.extend(&[0; 5000]);
        arrived += 5000;
        assert!(decoder.room().capacity() <= 2 * arrived.max(LARGE_ROOM) + 2 * ROOM, "{arrived} bytes");
    }
}

#[test]
fn a_large_buffer_is_kept_while_in_use_and_given_back_if_huge() {
    let mut decoder = Decoder::new(MAX_FRAME_LIMIT);
    for piece in call(&vec![1; 1 << 20]).chunks(100_000) {
        decoder.extend(piece);
    }
    assert!(decoder.next_request().unwrap().is_some());
    let capacity = decoder.room().capacity();
    assert!((1 << 20..2 << 20).contains(&capacity), "{capacity}");
    decoder.extend(&call(&vec![1; KEEP]));
    assert!(decoder.next_request().unwrap().is_some());
    assert!(decoder.room().capacity() < 1 << 20);
}

#[test]
fn many_small_frames_in_one_buffer_shift_little() {
    let mut decoder = Decoder::new(LIMIT);
    let one = call(&[1; 50]);
    let many = one.repeat(1000);
    for _ in 0..50 {
        decoder.extend(&many);
        for _ in 0..1000 {
            decoder.extend(&one[..1]);
            decoder.extend(&one[1..]);
            assert!(decoder.next_request().unwrap().is_some());
        }
        while decoder.next_request().unwrap().is_some() {}
    }
    assert!(decoder.room().capacity() < 1 << 20);
}

#[test]
fn long_texts_are_cut_between_characters() {
    let mut out = Vec::new();
    let long = "組".repeat(TEXT_LIMIT);
    encode_panicked(&mut out, 1, &RemotePanic::new(long.clone(), Some(long.clone()), Some(long)));
    assert!(u64::from(u32::from_le_bytes(*out.first_chunk().unwrap())) <= CONTROL_LIMIT);
    let mut decoder = Decoder::new(0);
    decoder.extend(&out);
    let Some(Reply::Panicked { id: 1, panic }) = decoder.next_reply().unwrap() else {
        panic!("another frame")
    };
    assert!(panic.message().len() > TEXT_LIMIT - 3);
}

#[test]
fn a_failed_encoder_leaves_nothing_behind() {
    let mut out = b"before".to_vec();
    let failed = encode_call_with(&mut out, 1, Random(1).function(), |out| {
        out.extend([1, 2, 3]);
        Err("no")
    });
    assert_eq!((failed, &out[..]), (Err("no"), &b"before"[..]));
}
