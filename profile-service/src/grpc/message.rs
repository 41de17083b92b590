//! Between the generated messages and our types.

use proto::profile::v1::{self, UpdateProfileRequest};
use token_verifier::Subject;

use crate::profile::{Profile, update::UncheckedValues};

/// The profile with defaults for what was never set, and the subject that was seen.
pub(super) fn profile(subject: &Subject, profile: Profile) -> v1::Profile {
    let Profile {
        display_name,
        theme,
        locale,
        currency,
    } = profile;
    v1::Profile {
        subject: subject.as_str().into(),
        display_name: display_name.map_or_else(String::new, |name| name.as_str().into()),
        theme: theme.unwrap_or_default().as_str().into(),
        locale: locale.unwrap_or_default().as_str().into(),
        currency: currency.unwrap_or_default().as_str().into(),
    }
}

/// The mask's paths; none if there is no mask.
pub(super) fn paths(request: &UpdateProfileRequest) -> impl Iterator<Item = &str> {
    let mask = request.update_mask.iter();
    mask.flat_map(|mask| mask.paths.iter().map(String::as_str))
}

/// The values, empty if there is no profile. `subject` is not among them: it is
/// output only, and whatever a request says there is never read.
pub(super) fn unchecked_values(request: &UpdateProfileRequest) -> UncheckedValues<'_> {
    request
        .profile
        .as_ref()
        .map_or_else(UncheckedValues::default, |profile| UncheckedValues {
            display_name: &profile.display_name,
            theme: &profile.theme,
            locale: &profile.locale,
            currency: &profile.currency,
        })
}
