//! The fleet key and the state folder.

use crate::doctor::facts::{Facts, IdentityFile, KeyFile, StateFolder};
use crate::doctor::finding::{Area, Code, Finding};
use crate::files::WRITABLE_BY_OTHERS;

const AREA: Area = Area::Files;
const MAKE_OR_COPY: &str =
    "copy the fleet's key here: scp -p DEVICE:fleet.key .    # or, for a new fleet: rocoin fleet init";

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    vec![key(&facts.key), folder(&facts.state)]
}

fn key(key: &KeyFile) -> Finding {
    match key {
        KeyFile::Usable { path, fingerprint, previous } => {
            let before =
                previous.as_ref().map_or_else(String::new, |key| format!(" (and {key} before it, accepted still)"));
            let what =
                format!("fleet key {path}, fingerprint {fingerprint}{before}; all devices of a fleet have the same");
            Finding::well(AREA, Code::KeyUsable, what)
        }
        KeyFile::Open => Finding::notice(AREA, Code::NetworkOpen, "no fleet key, by --open")
            .because("whoever reaches this node is let in, and can take part in and read everything"),
        KeyFile::NotGiven => Finding::notice(AREA, Code::KeyNotGiven, "no fleet key was given")
            .because("a node does not start without one, and without it nothing can be said about handshakes")
            .mend("rocoin doctor --fleet-key-file FILE    # or --config FILE, as for the node"),
        KeyFile::Absent { path } => Finding::wrong(AREA, Code::KeyAbsent, format!("the fleet key {path} is not there"))
            .because("a node does not start without it")
            .mend(MAKE_OR_COPY),
        KeyFile::ReadableByOthers { path, mode } => Finding::wrong(
            AREA,
            Code::KeyReadableByOthers,
            format!("the fleet key {path} can be read by others (mode {mode:03o})"),
        )
        .because("a secret that others can read is none, so a node refuses it")
        .mend(format!("chmod 600 {path}")),
        KeyFile::Unreadable { path, why } => {
            Finding::wrong(AREA, Code::KeyUnreadable, format!("the fleet key {path} cannot be read ({why})"))
                .because("it belongs to another user, or its folder is closed to this one")
                .mend(format!("sudo chown $USER {path} && chmod 600 {path}    # for the user that runs the node"))
        }
        KeyFile::Damaged { path, why } => Finding::wrong(AREA, Code::KeyDamaged, format!("{path} is no fleet key"))
            .because(why.clone())
            .mend(MAKE_OR_COPY),
    }
}

fn folder(state: &StateFolder) -> Finding {
    let path = &state.path;
    if let Some(mode) = state.mode.filter(|mode| mode & WRITABLE_BY_OTHERS != 0) {
        return Finding::wrong(
            AREA,
            Code::FolderWritableByOthers,
            format!("the state folder {path} can be written to by others (mode {mode:03o})"),
        )
        .because("who can write into a folder can put other files in place of those in it, so a node refuses it")
        .mend(format!("chmod 700 {path}"));
    }
    match &state.identity {
        IdentityFile::Unusable { why } => Finding::wrong(AREA, Code::IdentityUnusable, format!("the identity in {path} cannot be used"))
            .because(why.clone())
            .mend(format!("restore {path}/identity.key, or give it back to this user: sudo chown -R $USER {path} && chmod 600 {path}/identity.key")),
        IdentityFile::Absent => {
            Finding::well(AREA, Code::FolderNew, format!("state folder {path}: new; the first start takes an identity"))
        }
        IdentityFile::Usable { node, .. } => {
            let met = match state.remembered {
                0 => "no node met so far".to_owned(),
                1 => "one node met before".to_owned(),
                many => format!("{many} nodes met before"),
            };
            Finding::well(AREA, Code::FolderKept, format!("state folder {path}: node {node}, {met}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use rocoin::id::NodeId;

    use super::*;

    #[test]
    fn each_way_in_which_a_key_is_of_no_use_is_told_apart() {
        let path = || "fleet.key".to_owned();
        let why = || "why".to_owned();
        for (fact, expected, remedy) in [
            (KeyFile::Usable { path: path(), fingerprint: why(), previous: None }, Code::KeyUsable, None),
            (KeyFile::Open, Code::NetworkOpen, None),
            (KeyFile::NotGiven, Code::KeyNotGiven, Some("--fleet-key-file")),
            (KeyFile::Absent { path: path() }, Code::KeyAbsent, Some("rocoin fleet init")),
            (
                KeyFile::ReadableByOthers { path: path(), mode: 0o644 },
                Code::KeyReadableByOthers,
                Some("chmod 600 fleet.key"),
            ),
            (KeyFile::Unreadable { path: path(), why: why() }, Code::KeyUnreadable, Some("chown $USER fleet.key")),
            (KeyFile::Damaged { path: path(), why: why() }, Code::KeyDamaged, Some("rocoin fleet init")),
        ] {
            let finding = key(&fact);
            assert_eq!(finding.code, expected);
            assert_eq!(remedy.is_some(), !finding.remedies.is_empty(), "{finding:?}");
            assert!(remedy.is_none_or(|remedy| finding.remedies.join("\n").contains(remedy)), "{finding:?}");
        }
    }

    #[test]
    fn a_state_folder_is_kept_new_or_of_no_use() {
        let with = |identity| StateFolder { identity, ..StateFolder::default() };
        let usable = IdentityFile::Usable { node: NodeId([1; 32]), peer: "12D3".to_owned() };
        assert_eq!(folder(&with(usable)).code, Code::FolderKept);
        assert_eq!(folder(&with(IdentityFile::Absent)).code, Code::FolderNew);
        assert_eq!(folder(&with(IdentityFile::Unusable { why: "denied".to_owned() })).code, Code::IdentityUnusable);
        let of_mode = |mode| folder(&StateFolder { mode: Some(mode), ..StateFolder::default() });
        assert_eq!(of_mode(0o755).code, Code::FolderNew);
        assert_eq!(of_mode(0o775).code, Code::FolderWritableByOthers);
    }
}
