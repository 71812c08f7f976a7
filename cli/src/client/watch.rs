//! `serin get --watch`: the list, then each item that changes, for as long as somebody looks.
//!
//! News wake it, and it looks again: what is printed is always what a list says, so nothing depends
//! on how news are told, and several changes of one item at once are one line. The news are open
//! before the first look, so what changes in between is seen. A lost connection is said and found
//! again.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use awc::http::header::ACCEPT;
use futures_util::{Stream, StreamExt as _};
use tokio::time::{sleep, timeout};

use super::{
    Api, Call,
    api::Refused,
    get::{identity, look},
    list::Listed,
    show,
};
use crate::{
    args::remote::{Form, Get, Seen},
    exit::Failed,
    output,
    tree::Tree,
};

/// Between two looks at what has no news of its own, and before a lost connection is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest silence of the news: a comment comes every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Longest line of the news that is kept; only its beginning matters.
const LINE_BYTES_MAX: usize = 64;

/// Runs until the process is ended, or nobody reads it any more.
pub(crate) async fn watch(api: &Api, get: &Get) -> Result<(), Failed> {
    tokio::select! {
        done = told(api, get) => done,
        () = output::unread() => Err(Failed::Unread),
    }
}

async fn told(api: &Api, get: &Get) -> Result<(), Failed> {
    let mut shown = Shown::new(get);
    loop {
        let Err(refused) = follow(api, get, &mut shown).await;
        if !shown.began || !is_passing(&refused) {
            return Err(refused.into());
        }
        output::note(format_args!("{}; trying again", Failed::from(refused)));
        sleep(PAUSE).await;
    }
}

fn is_passing(refused: &Refused) -> bool {
    refused
        .status()
        .is_none_or(|status| status.is_server_error())
}

/// Looks at each news, until something fails.
async fn follow(api: &Api, get: &Get, shown: &mut Shown) -> Result<Infallible, Refused> {
    let Some(_) = get.kind.document() else {
        loop {
            shown.update(&look(api, get).await?)?;
            sleep(PAUSE).await;
        }
    };
    let call = Call::get("/watch").header(ACCEPT, "text/event-stream");
    let response = api.open(&call).await?;
    if !response.status().is_success() {
        // Asked as a call, the refusal is read as one.
        api.call(&call).await?;
        return Err(Refused::Unreachable("the news were refused".to_owned()));
    }
    let mut news = News::of(response);
    loop {
        shown.update(&look(api, get).await?)?;
        news.next().await?;
    }
}

/// What was printed last.
struct Shown {
    kind: Seen,
    form: Form,
    began: bool,
    items: BTreeMap<String, Tree>,
}

impl Shown {
    fn new(get: &Get) -> Self {
        Self {
            kind: get.kind,
            form: get.output,
            began: false,
            items: BTreeMap::new(),
        }
    }

    /// Prints what differs from what was printed before.
    fn update(&mut self, listed: &Listed) -> Result<(), Refused> {
        let text = self.difference(listed);
        text.and_then(|text| output::print(&text))
            .map_err(|failed| Refused::Unreachable(failed.to_string()))
    }

    fn difference(&mut self, listed: &Listed) -> Result<String, Failed> {
        let key = |item: &Tree| identity(self.kind, item).unwrap_or_default().to_owned();
        let now: BTreeMap<String, Tree> = listed
            .items
            .iter()
            .map(|item| (key(item), item.clone()))
            .collect();
        let is_new = |item: &&Tree| self.items.get(&key(item)) != Some(*item);
        let changed: Vec<Tree> = listed.items.iter().filter(is_new).cloned().collect();
        let gone: Vec<&String> = self
            .items
            .keys()
            .filter(|name| !now.contains_key(*name))
            .collect();
        let mut text = self.changed(&changed)?;
        for name in gone {
            text += &self.gone(name);
        }
        self.began = true;
        self.items = now;
        Ok(text)
    }

    fn changed(&self, items: &[Tree]) -> Result<String, Failed> {
        let each = |print: &dyn Fn(&Tree) -> Result<String, Failed>| {
            items.iter().map(print).collect::<Result<String, Failed>>()
        };
        match self.form {
            Form::Json => each(&|item| {
                let line = serde_json::to_string(item);
                line.map(|line| line + "\n")
                    .map_err(|error| Failed::because(error.to_string()))
            }),
            Form::Yaml => each(&|item| Ok(format!("---\n{}", output::yaml(item)?))),
            Form::Table if items.is_empty() && self.began => Ok(String::new()),
            Form::Table => {
                let table = show::table(self.kind, items);
                // The headings once, at the top.
                let rows = table.split_once('\n').map_or("", |(_, rows)| rows);
                Ok(if self.began { rows.to_owned() } else { table })
            }
        }
    }

    fn gone(&self, name: &str) -> String {
        match self.form {
            Form::Json => format!("{}\n", serde_json::json!({"name": name, "deleted": true})),
            Form::Yaml => format!("---\nname: {name}\ndeleted: true\n"),
            Form::Table => format!("{name}   deleted\n"),
        }
    }
}

/// Server-sent events, of which only one thing matters: that there is one.
struct News<S> {
    stream: S,
    line: Vec<u8>,
}

impl<S, B, E> News<S>
where
    S: Stream<Item = Result<B, E>> + Unpin,
    B: AsRef<[u8]>,
{
    fn of(stream: S) -> Self {
        Self {
            stream,
            line: Vec::new(),
        }
    }

    /// Resolves when at least one event has come.
    async fn next(&mut self) -> Result<(), Refused> {
        loop {
            let piece = timeout(SILENCE_MAX, self.stream.next()).await;
            let Ok(Some(Ok(piece))) = piece else {
                return Err(Refused::Unreachable("the connection was lost".to_owned()));
            };
            if self.take(piece.as_ref()) {
                return Ok(());
            }
        }
    }

    /// Whether these bytes end a line of data.
    fn take(&mut self, piece: &[u8]) -> bool {
        let mut is_news = false;
        for byte in piece {
            if matches!(byte, b'\n' | b'\r') {
                is_news |= self.line.starts_with(b"data");
                self.line.clear();
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(*byte);
            }
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use serde_json::json;

    use super::*;

    fn listed(items: serde_json::Value) -> Listed {
        Listed {
            items: serde_json::from_value(items).unwrap(),
            ..Listed::default()
        }
    }

    fn shown(form: Form) -> Shown {
        Shown {
            kind: Seen::Tiers,
            form,
            began: false,
            items: BTreeMap::new(),
        }
    }

    #[test]
    fn only_what_changed_is_printed_again() {
        let mut table = shown(Form::Table);
        let first = table
            .difference(&listed(json!([{"name": "a"}, {"name": "b"}])))
            .unwrap();
        assert!(
            first.starts_with("NAME") && first.ends_with("\na\nb\n"),
            "{first:?}"
        );
        assert_eq!(
            table
                .difference(&listed(json!([{"name": "a"}, {"name": "b"}])))
                .unwrap(),
            ""
        );
        let limits = json!([{"name": "b", "limits": {"concurrency": 4}}, {"name": "c"}]);
        let then = table.difference(&listed(limits)).unwrap();
        let rows: Vec<&str> = then.lines().map(str::trim_end).collect();
        assert!(
            rows[0].starts_with("b ") && rows[0].ends_with(" 4"),
            "{rows:?}"
        );
        assert_eq!(rows[1..], ["c", "a   deleted"]);
    }

    #[test]
    fn programs_get_a_line_for_each_change() {
        let mut json = shown(Form::Json);
        assert_eq!(
            json.difference(&listed(json!([{"name": "a"}]))).unwrap(),
            "{\"name\":\"a\"}\n"
        );
        assert_eq!(
            json.difference(&listed(json!([]))).unwrap(),
            "{\"deleted\":true,\"name\":\"a\"}\n"
        );
        let mut yaml = shown(Form::Yaml);
        assert_eq!(
            yaml.difference(&listed(json!([{"name": "a"}]))).unwrap(),
            "---\nname: a\n"
        );
    }

    #[actix_rt::test]
    async fn an_event_is_news_and_a_comment_is_not() {
        let pieces: [Result<&[u8], ()>; 5] = [
            Ok(b": still here\n\n"),
            Ok(b"id: 7\nda"),
            Ok(b"ta: {}\n\n"),
            Ok(b": data\n"),
            Err(()),
        ];
        let mut news = News::of(stream::iter(pieces));
        assert!(news.next().await.is_ok());
        assert!(
            news.next().await.is_err(),
            "a comment is no news and the end is an error"
        );
    }
}
