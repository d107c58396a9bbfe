//! The fleet key: the secret that admits a device. It is libp2p's pre-shared key, in the usual key file's form.
//!
//! While a fleet is given another key, the file holds both: the new one, and the one before it with the time until which it is
//! accepted. Which key a connection has is the network's business.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libp2p::pnet::{Fingerprint, PreSharedKey};
use rocoin::id::Digest;

use crate::files::{FileError, create_atomic, read_secret, write_atomic};

/// First line of a key, and how its digits are written: libp2p's.
const CURRENT: [&str; 2] = ["/key/swarm/psk/1.0.0/", "/base16/"];
/// First line of the key before it; then follows `until`, the seconds since 1970, then the digits as above.
const PREVIOUS: &str = "/rocoin/previous/1/";

/// The secret that all devices of a fleet share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FleetKey([u8; 32]);

impl FleetKey {
    /// A new key, from the system's entropy.
    ///
    /// # Errors
    /// If the system has no entropy to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Tells keys apart and gives nothing of them away.
    pub fn fingerprint(&self) -> Fingerprint {
        PreSharedKey::new(self.0).fingerprint()
    }

    fn parse(digits: &str) -> Result<Self, String> {
        // A digest has the same form; parsing it as one keeps a single reader of hexadecimal digits.
        let digits: Result<Digest, _> = digits.to_ascii_lowercase().parse();
        digits.map(|digest| Self(digest.0)).map_err(|_| "a key is 64 hexadecimal digits".to_owned())
    }

    fn digits(&self) -> String {
        Digest(self.0).to_string()
    }
}

impl std::fmt::Display for FleetKey {
    /// Its fingerprint.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.fingerprint().fmt(f)
    }
}

impl std::fmt::Debug for FleetKey {
    /// Its fingerprint.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FleetKey({self})")
    }
}

/// The key before the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    /// The key.
    pub key: FleetKey,
    /// It is accepted until then.
    pub until: SystemTime,
}

/// What a key file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFile {
    /// The fleet's key.
    pub current: FleetKey,
    /// The one before it, while the fleet moves from one to the other.
    pub previous: Option<Previous>,
}

impl KeyFile {
    /// A file with one key.
    pub fn of(current: FleetKey) -> Self {
        Self { current, previous: None }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`FileError`]: absent, readable by others, or not of that form.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        Self::parse(&read_secret(path)?).map_err(|what| FileError::Content {
            path: path.to_owned(),
            what: format!("it is no fleet key ({what}); make one with `rocoin fleet init`, or copy the fleet's"),
        })
    }

    /// Reads a key file's text.
    ///
    /// # Errors
    /// What is wrong with it, for people; never a digit of a key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let (current, rest) = match lines.as_slice() {
            [kind, form, digits, rest @ ..] if [*kind, *form] == CURRENT => (FleetKey::parse(digits)?, rest),
            _ => return Err(format!("it has to begin with the lines {} and {}", CURRENT[0], CURRENT[1])),
        };
        let previous = match rest {
            [] => None,
            [kind, until, form, digits] if *kind == PREVIOUS && *form == CURRENT[1] => {
                let seconds = until.strip_prefix("until ").and_then(|seconds| seconds.parse().ok());
                let until = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
                let until = until.ok_or("line 5 has to be `until` and the seconds since 1970")?;
                Some(Previous { key: FleetKey::parse(digits)?, until })
            }
            _ => return Err("after the key there may be the previous one, and nothing else".to_owned()),
        };
        Ok(Self { current, previous })
    }

    /// The file's text.
    fn text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", CURRENT[0], CURRENT[1], self.current.digits());
        if let Some(Previous { key, until }) = self.previous {
            let until = until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            text += &format!("{PREVIOUS}\nuntil {until}\n{}\n{}\n", CURRENT[1], key.digits());
        }
        text
    }

    /// Writes a new key file, mode 0600. An existing file is never overwritten: the fleet could not be joined again.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn create(&self, path: &Path) -> Result<(), FileError> {
        create_atomic(path, self.text().as_bytes())
    }

    /// Writes the key file, mode 0600, in place of the older one.
    ///
    /// # Errors
    /// [`FileError::Io`]; the older file is then as it was.
    pub fn replace(&self, path: &Path) -> Result<(), FileError> {
        write_atomic(path, self.text().as_bytes())
    }

    /// The file after a change of the key: the one that was current is accepted until `until`. One that was the previous one is
    /// dropped.
    pub fn rotated(&self, new: FleetKey, until: SystemTime) -> Self {
        Self { current: new, previous: Some(Previous { key: self.current, until }) }
    }

    /// What it means at that time.
    pub fn keyring(&self, now: SystemTime) -> Keyring {
        let (previous, retired) = match self.previous {
            Some(Previous { key, until }) if now < until => (Some(key), None),
            Some(Previous { key, .. }) => (None, Some(key)),
            None => (None, None),
        };
        Keyring { current: self.current, previous, retired }
    }
}

/// The keys of a node at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyring {
    /// What it dials with first, and moves its connections to.
    pub current: FleetKey,
    /// Accepted too.
    pub previous: Option<FleetKey>,
    /// Accepted no more; who still has it is told from a stranger.
    pub retired: Option<FleetKey>,
}

impl Keyring {
    /// Those that admit a device, the current one first.
    pub fn accepted(&self) -> impl Iterator<Item = FleetKey> + use<> {
        [Some(self.current), self.previous].into_iter().flatten()
    }

    /// This keyring after `older` was in force: what was accepted and is not any more is retired.
    #[must_use]
    pub fn after(mut self, older: &Self) -> Self {
        let is_known = |key: &FleetKey| self.accepted().any(|k| k == *key);
        let dropped = older.accepted().chain(older.retired).find(|key| !is_known(key));
        self.retired = self.retired.or(dropped);
        self
    }
}

impl From<FleetKey> for Keyring {
    fn from(current: FleetKey) -> Self {
        Self { current, previous: None, retired: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> FleetKey {
        FleetKey([byte; 32])
    }

    #[test]
    fn a_fleet_key_is_read_back_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fleet.key");
        let file = KeyFile::of(FleetKey::generate().unwrap());
        file.create(&path).unwrap();
        assert!(KeyFile::of(key(1)).create(&path).is_err());
        assert_eq!(KeyFile::load(&path).unwrap(), file);
    }

    #[test]
    fn a_fleet_key_shows_its_fingerprint_only() {
        let key = key(7);
        assert!(!format!("{key} {key:?} {:?}", KeyFile::of(key)).contains("0707"));
    }

    #[test]
    fn a_file_with_one_key_is_libp2ps_and_the_other_way_round() {
        let theirs = PreSharedKey::new([0xab; 32]).to_key_file();
        assert_eq!(KeyFile::parse(&theirs).unwrap(), KeyFile::of(key(0xab)));
        assert_eq!(KeyFile::of(key(0xab)).text(), theirs);
        assert_eq!(
            KeyFile::parse(
                &theirs.to_uppercase().replace("/KEY/SWARM/PSK/1.0.0/\n/BASE16/", "/key/swarm/psk/1.0.0/\n/base16/")
            )
            .unwrap()
            .current,
            key(0xab)
        );
    }

    #[test]
    fn a_file_with_two_keys_is_read_back() {
        let until = UNIX_EPOCH + Duration::from_secs(1_795_663_200);
        let file = KeyFile::of(key(1)).rotated(key(2), until);
        assert_eq!(KeyFile::parse(&file.text()).unwrap(), file);
        assert_eq!(file.rotated(key(3), until).previous.unwrap().key, key(2), "the one before the last is dropped");
    }

    #[test]
    fn the_previous_key_is_accepted_until_its_time_and_then_only_recognised() {
        let until = UNIX_EPOCH + Duration::from_secs(100);
        let file = KeyFile::of(key(1)).rotated(key(2), until);
        let before = file.keyring(until - Duration::from_nanos(1));
        assert_eq!(before, Keyring { current: key(2), previous: Some(key(1)), retired: None });
        assert_eq!(file.keyring(until), Keyring { current: key(2), previous: None, retired: Some(key(1)) });
    }

    #[test]
    fn a_key_that_the_file_holds_no_more_is_retired() {
        let both = Keyring { previous: Some(key(1)), ..key(2).into() };
        assert_eq!(both.after(&key(1).into()).retired, None);
        assert_eq!(Keyring::from(key(2)).after(&both).retired, Some(key(1)));
        assert_eq!(Keyring::from(key(2)).after(&key(1).into()).retired, Some(key(1)));
        let over = Keyring { retired: Some(key(1)), ..key(2).into() };
        assert_eq!(Keyring::from(key(2)).after(&over).retired, Some(key(1)), "it stays so");
    }

    #[test]
    fn what_is_no_key_file_is_refused_without_showing_a_digit() {
        let good = KeyFile::of(key(0xab)).rotated(key(0xcd), UNIX_EPOCH).text();
        assert!(KeyFile::parse(&good).is_ok());
        for bad in [
            String::new(),
            "abab".to_owned(),
            good.replace("1.0.0", "2.0.0"),
            good.replacen("ab", "xy", 1),
            good.replacen("cd", "", 1),
            good.replace("until 0", "until tomorrow"),
            good.replace("until 0", &format!("until {}", u64::MAX)),
            good.clone() + "more\n",
            good.lines().take(5).collect::<Vec<_>>().join("\n"),
        ] {
            let error = KeyFile::parse(&bad).unwrap_err();
            assert!(!error.contains("abab") && !error.contains("cdcd"), "{error}");
        }
    }
}
