//! A bus in a few lines: make it, write, look back, branch, merge, and find it all again.

use mmsb::bus::error::Error;
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::past::history::Filter;
use mmsb::page::dtype::DType;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

fn main() -> Result<(), Error> {
    let path = std::env::temp_dir().join(format!("quickstart-{}", std::process::id()));
    let note = Note { source: Some("quickstart".into()), ..Note::default() };
    let bus = Bus::open(&path, &Options::default())?;

    let heights = bus.create_page("heights", Schema::array(DType::F32, vec![], false, None)?, 6, &note)?;
    bus.assign(heights, 0, Select::range(0, 3), &[1.0f32, 2.0, 3.0], &note)?;
    let before = bus.state()?;
    bus.assign(heights, 0, Select::indices(vec![5, 0]), &[9.0f32, 7.0], &note)?;
    println!("now            {:?}", bus.state()?.cells::<f32>(heights, 0)?);
    println!("a state held   {:?}", before.cells::<f32>(heights, 0)?);
    println!("at epoch 1     {:?}", bus.at(mmsb::base::ids::Epoch(1))?.cells::<f32>(heights, 0)?);

    let plan = bus.branch("plan", None)?;
    plan.assign(heights, 0, Select::range(3, 4), &[4.0f32], &note)?;
    bus.assign(heights, 0, Select::range(1, 2), &[-2.0f32], &note)?;
    bus.merge(&plan, OnConflict::Raise, &note)?;
    println!("merged         {:?}", bus.state()?.cells::<f32>(heights, 0)?);

    bus.log(&Filter::default(), |commit| {
        println!(
            "epoch {}        {:?}",
            commit.epoch.0,
            commit.touches.iter().map(|touch| touch.what).collect::<Vec<_>>()
        );
        true
    })?;
    let digest = bus.state()?.digest()?;
    drop((bus, plan, before));
    let again = Bus::open(&path, &Options::default())?;
    println!("opened again   the same: {}", again.state()?.digest()? == digest);
    Ok(())
}
