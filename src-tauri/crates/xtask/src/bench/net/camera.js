// Runs in tests/browser/call.html: the camera is sent, or nothing in its place.
const sender = call.connection.getTransceivers().find(({ receiver }) => receiver.track.kind === 'video').sender;
await sender.replaceTrack(args[0] ? call.stream.getVideoTracks()[0] : null);
