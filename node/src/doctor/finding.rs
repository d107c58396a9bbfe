//! What the facts mean, for people and programs.

use serde::Serialize;

/// One thing that was looked at: what is so, and where it is wrong, why and what mends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What it is about.
    pub(crate) area: Area,
    /// Its name for programs; stays when words change.
    pub(crate) code: Code,
    pub(crate) verdict: Verdict,
    /// What is so.
    pub(crate) what: String,
    /// Why that is, or what it means.
    pub(crate) why: Option<String>,
    /// Commands, or what else to do.
    pub(crate) remedies: Vec<String>,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Well,
    /// Worth knowing; it need not be wrong.
    Notice,
    /// Nodes do not meet, or this one does not start or is hampered, because of it.
    Wrong,
}

/// The headings, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Area {
    Interfaces,
    Multicast,
    Ports,
    Firewall,
    Target,
    Clock,
    Device,
    Files,
    Node,
}

impl Area {
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Interfaces => "Network interfaces",
            Self::Multicast => "Multicast (mDNS)",
            Self::Ports => "Listening",
            Self::Firewall => "Firewall",
            Self::Target => "The way to other nodes",
            Self::Clock => "Clock",
            Self::Device => "This device",
            Self::Files => "Files",
            Self::Node => "The node that runs here",
        }
    }
}

macro_rules! codes {
    ($($code:ident),* $(,)?) => {
        /// Every finding there is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) enum Code { $($code),* }

        impl Code {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$code),*];
        }
    };
}

codes! {
    InterfaceUsable, InterfaceDown, InterfaceWithoutAddress, InterfaceLinkLocalOnly, InterfaceWithoutMulticast, InterfaceTunnel,
    InterfaceForContainers, NoInterface,
    MulticastHeard, MulticastOwnOnly, MulticastOthersOnly, MulticastSilent, MulticastNotPassing, MulticastNotSent, MulticastNoEcho,
    MdnsPortTaken, MdnsNoSocket, MulticastOff,
    PortFree, PortHeldByThisNode, PortTakenByNode, PortTaken, PortNotPermitted, PortAddressNotHere, PortNotTcp, PortFailed,
    PortNotFixed,
    FirewallActive, FirewallUnknown, FirewallNone,
    TargetUnresolved, TargetLinkLocal, TargetFamilyMissing, TargetNoRoute, TargetUnreachable, TargetRefused, TargetTimedOut, TargetConnectFailed,
    TargetOtherService, TargetIsHttp, TargetKeyNeeded, TargetOtherKey, TargetNoKeyThere, TargetNoHandshake, TargetOtherVersion,
    TargetSameIdentity, TargetIsThisNode, TargetOtherPeer, TargetTurnedAway, TargetNoLane, TargetMet, TargetHttpAnswers,
    TargetHttpUnauthorized, TargetHttpNotANode, TargetHttpUnreachable,
    ClockPlausible, ClockImplausible, ClockDiffers, ClockAgrees,
    MemoryEnough, MemoryShort, MemoryTight, MemoryUnknown, DiskWritable, DiskSlow, DiskLow, DiskFull, FolderUnwritable, CpuFit, CpuPlain,
    Calibrated, NotCalibrated, LoadLow, LoadHigh,
    KeyUsable, KeyNotGiven, KeyAbsent, KeyReadableByOthers, KeyUnreadable, KeyDamaged, NetworkOpen,
    FolderKept, FolderNew, FolderWritableByOthers, IdentityUnusable,
    NodeRuns, NodeAlone, NodeMembersLost, NodeHttpSilent, NodeHttpOther,
}

impl Finding {
    pub(crate) fn well(area: Area, code: Code, what: impl Into<String>) -> Self {
        Self::new(area, code, Verdict::Well, what.into())
    }

    pub(crate) fn notice(area: Area, code: Code, what: impl Into<String>) -> Self {
        Self::new(area, code, Verdict::Notice, what.into())
    }

    pub(crate) fn wrong(area: Area, code: Code, what: impl Into<String>) -> Self {
        Self::new(area, code, Verdict::Wrong, what.into())
    }

    fn new(area: Area, code: Code, verdict: Verdict, what: String) -> Self {
        Self { area, code, verdict, what, why: None, remedies: Vec::new() }
    }

    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    pub(crate) fn mend(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }

    pub(crate) fn mend_all(mut self, remedies: impl IntoIterator<Item = String>) -> Self {
        self.remedies.extend(remedies);
        self
    }
}
