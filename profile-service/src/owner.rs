//! Whose profile a request is about: read from the verified token and from nowhere else.

#[cfg(test)]
mod tests;

use token_verifier::{Subject, SubjectKind, VerifiedToken};

/// A subject that can have a profile: a person or a guest.
///
/// `anonymous` and workloads are no owners. They read what somebody with nothing
/// reads, and may not write: a row for `anonymous` would be everybody's, and a
/// workload that acts for a person brings the person's own token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    subject: Subject,
    guest: Option<Subject>,
}

impl Owner {
    /// The owner that the token speaks for, if its subject can be one.
    pub(crate) fn of(token: &VerifiedToken) -> Option<Self> {
        Self::new(token.subject(), token.prior_subject())
    }

    /// The rule of [`Owner::of`]. Only a person takes over a guest's state, and only a
    /// guest's state is taken over: any other `prior_sub` is as good as none, because
    /// merging one person's profile into another's is never what a login means.
    fn new(subject: &Subject, prior: Option<&Subject>) -> Option<Self> {
        let guest = match subject.kind() {
            SubjectKind::User => prior.filter(|prior| prior.kind() == SubjectKind::Guest),
            SubjectKind::Guest => None,
            SubjectKind::Workload | SubjectKind::Anonymous => return None,
        };
        Some(Self {
            subject: subject.clone(),
            guest: guest.cloned(),
        })
    }

    /// Whose rows.
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The guest that this person was before signing in.
    pub(crate) fn guest(&self) -> Option<&Subject> {
        self.guest.as_ref()
    }

    /// Whether this is a guest, whose state a person may take over at any moment.
    pub(crate) fn is_guest(&self) -> bool {
        self.subject.kind() == SubjectKind::Guest
    }

    /// What [`Owner::of`] makes of a token with these claims.
    #[cfg(test)]
    pub(crate) fn for_test(subject: &str, prior: Option<&str>) -> Option<Self> {
        let parse = |text| Subject::parse(text).expect("tests name real subjects");
        Self::new(&parse(subject), prior.map(parse).as_ref())
    }
}
