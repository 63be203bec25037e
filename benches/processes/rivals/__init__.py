"""Who is measured, in a file each: mmsb, the machine, and rivals. One that is not installed is left out."""
