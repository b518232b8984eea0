"""PESQ (ITU-T P.862.2, wideband) of speech that was sent in a loop: speech.py join OUT IN...; speech.py rate SENT HEARD."""
import base64
import sys
import wave

import numpy as np

RATE = 16_000
# Seconds heard before the first one that is rated, in which a call finds its rate.
WARM_UP = 5


def samples(path):
    """Mono at 16 kHz, -1 to 1. A file whose writer was stopped may say a wrong length; it counts to its end."""
    data = open(path, 'rb').read()
    if path.endswith('.base64'):
        kind, channels, rate, body = 1, 1, 48_000, base64.b64decode(data)
    else:
        form, start = data.index(b'fmt '), data.index(b'data')
        kind, channels = np.frombuffer(data, '<u2', 2, form + 8).tolist()
        rate = int(np.frombuffer(data, '<u4', 1, form + 12)[0])
        body = data[start + 8 :]
    size, scale = ('<i2', 32_768) if kind == 1 else ('<f4', 1)
    whole = np.dtype(size).itemsize * channels
    body = body[: len(body) // whole * whole]
    sound = np.frombuffer(body, size).astype(np.float64).reshape(-1, channels)[:, 0] / scale
    if rate == 48_000:
        place = np.arange(-72, 73)
        low = np.sinc(place * 2 * 7_400 / 48_000) * np.hamming(len(place))
        sound = np.convolve(sound, low / low.sum(), 'same')[::3]
    elif rate != RATE:
        raise SystemExit(f'{path} has {rate} samples a second')
    return sound


def join(out, paths):
    """One file of all, with pauses, at 48 kHz."""
    pause = np.zeros(14_400, '<i2')
    parts = []
    for path in paths:
        with wave.open(path) as part:
            if (part.getframerate(), part.getsampwidth()) != (48_000, 2):
                raise SystemExit(f'{path} is not of 48,000 16-bit samples a second')
            sound = np.frombuffer(part.readframes(part.getnframes()), '<i2').reshape(-1, part.getnchannels())[:, 0]
        parts += [sound, pause]
    with wave.open(out, 'wb') as whole:
        whole.setnchannels(1)
        whole.setsampwidth(2)
        whole.setframerate(48_000)
        whole.writeframes(np.concatenate(parts).tobytes())


def begins(sent, heard):
    """Where in what was heard the sent piece lies best."""
    size = 1 << (len(sent) + len(heard)).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size)), size)
    return int(np.argmax(likeness[: max(len(heard) - len(sent), 1)]))


def rate(sent, heard):
    """The mean score of every whole turn of the loop."""
    from pesq import pesq

    sent, heard = samples(sent), samples(heard)
    at = WARM_UP * RATE
    at += begins(sent, heard[at : at + 2 * len(sent)])
    scores = []
    while at + len(sent) <= len(heard):
        scores.append(pesq(RATE, sent, heard[at : at + len(sent)], 'wb'))
        # The delay may have changed meanwhile.
        near = max(at + len(sent) - RATE // 2, 0)
        if near + len(sent) > len(heard):
            break
        at = near + begins(sent, heard[near : near + len(sent) + RATE])
    if not scores:
        raise SystemExit('too little was heard')
    print(sum(scores) / len(scores))


if __name__ == '__main__':
    job, first, *rest = sys.argv[1:]
    join(first, rest) if job == 'join' else rate(first, rest[0])
