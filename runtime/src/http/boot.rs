//! What a gateway does before it dials, done (H-4, H-5).

use super::{Client, borrowed};
use crate::shared::unix_s;
use relayline_core::config::Credentials;
use relayline_core::http::boot::{Boot, Plan, Report, Step};
use relayline_core::secret::Secret;
use zeroize::Zeroizing;

/// What a boot has come to.
#[derive(Clone, PartialEq, Debug)]
pub struct Booted {
    /// What to dial with: what was set, or else the last that was issued (H-4).
    pub credentials: Option<Credentials>,
    /// What signs deliveries, if any was issued.
    pub delivery_key: Option<Secret>,
    /// The platforms whose policy was not sent, for want of credentials.
    pub unsent: Vec<String>,
}

impl Client {
    /// Gets an identity token, provisions and sends policies, as far as the plan asks for it. Nothing that goes wrong
    /// stops it: `report` hears of each step, as it is done. `run` runs the command that prints an identity token; what
    /// it gives is wiped, an error's text is shown.
    pub async fn boot(
        &self,
        plan: Plan,
        mut run: impl AsyncFnMut(&str) -> Result<Zeroizing<Vec<u8>>, String>,
        mut report: impl FnMut(Report),
    ) -> Booted {
        let (mut boot, left_out) = Boot::new(plan);
        left_out.into_iter().for_each(&mut report);
        loop {
            report(match boot.next(unix_s()) {
                Step::Run(command) => {
                    let printed = run(command.expose()).await;
                    boot.printed(printed.as_ref().map(|bytes| bytes.as_slice()).map_err(Clone::clone))
                }
                Step::Send(request) => match self.send(&request).await {
                    Ok(answer) => {
                        boot.answered(Ok((answer.status, &borrowed(&answer.headers), &answer.body)))
                    }
                    Err(failure) => boot.answered(Err(failure)),
                },
                Step::Dial { credentials, delivery_key, unsent } => {
                    return Booted { credentials, delivery_key, unsent };
                }
            });
        }
    }
}
