//! iceoryx2: samples of shared memory, lent to all who have subscribed.

use std::path::Path;

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use super::{Looks, Party, Writes, number_of};
use crate::measure::Failed;

pub(super) const PARTY: Party = Party { who: "iceoryx2", writer, reader };

struct Writer {
    publisher: Publisher<ipc::Service, [u64], ()>,
    words: usize,
    _node: Node<ipc::Service>,
}

fn name(place: &Path) -> Result<ServiceName, Failed> {
    Ok(ServiceName::new(&format!("mmsb-peers/{}", place.display()))?)
}

fn writer(place: &Path, words: usize) -> Result<Box<dyn Writes>, Failed> {
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    let service = node.service_builder(&name(place)?).publish_subscribe::<[u64]>().open_or_create()?;
    let publisher = service.publisher_builder().initial_max_slice_len(words).create()?;
    Ok(Box::new(Writer { publisher, words, _node: node }))
}

impl Writes for Writer {
    fn write(&mut self, number: u64) -> Result<(), Failed> {
        let sample = self.publisher.loan_slice_uninit(self.words)?;
        sample.write_from_fn(|_| number).send()?;
        Ok(())
    }
}

struct Reader {
    subscriber: Subscriber<ipc::Service, [u64], ()>,
    _node: Node<ipc::Service>,
}

fn reader(place: &Path, _words: usize) -> Result<Box<dyn Looks>, Failed> {
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    let service = node.service_builder(&name(place)?).publish_subscribe::<[u64]>().open_or_create()?;
    let subscriber = service.subscriber_builder().create()?;
    Ok(Box::new(Reader { subscriber, _node: node }))
}

impl Looks for Reader {
    fn look(&mut self) -> Result<Option<u64>, Failed> {
        self.subscriber.receive()?.map(|sample| number_of(sample.payload())).transpose()
    }
}
