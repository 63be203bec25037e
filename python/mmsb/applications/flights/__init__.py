"""Every flight out of New York in 2013, played in time order through a bus: the job behind `mmsb demo`."""
