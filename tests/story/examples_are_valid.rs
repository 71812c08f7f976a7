//! What the documentation shows can be used as it stands.
//!
//! Every file of `docs/examples` and every YAML block of README.md that is a whole document file
//! passes `serin validate`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serin_tests::World;
use serin_tests::process::{Process, repository, serin_binary};

/// The YAML blocks of a Markdown text.
fn blocks(markdown: &str) -> Vec<String> {
    let fenced = markdown.split("```yaml\n").skip(1);
    fenced
        .filter_map(|rest| rest.split("```").next())
        .map(str::to_owned)
        .collect()
}

async fn validate(file: &Path) {
    let arguments = ["validate".as_ref(), file.as_os_str()];
    let mut process = Process::start(serin_binary().as_os_str(), &arguments, &[]);
    let status = process.exit(Duration::from_secs(20)).await;
    assert!(
        status.success(),
        "{}\n{}",
        file.display(),
        process.printed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_example_file_validates() {
    let folder = repository().join("docs/examples");
    let entries = std::fs::read_dir(&folder)
        .expect("docs/examples can be read")
        .flatten();
    let yaml: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    assert!(!yaml.is_empty(), "no example in docs/examples");
    for file in yaml {
        validate(&file).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_in_the_readme_validates() {
    let readme =
        std::fs::read_to_string(repository().join("README.md")).expect("there is a README");
    let blocks: Vec<_> = blocks(&readme)
        .into_iter()
        .filter(|block| block.contains("providers:"))
        .collect();
    assert!(!blocks.is_empty(), "the README configures no provider");
    let world = World::new();
    for block in blocks {
        validate(&world.write("readme.yaml", &block)).await;
    }
}
