// Tests neither search for the fastest way to cut a network's work nor use what was found on this machine; those about it say so.
process.env.TVN_TUNING ??= 'off'
