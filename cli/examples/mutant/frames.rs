//! WebSocket frames, as they are on the wire (RFC 6455, 5.2).

use std::io::{self, Read, Write};

/// A frame, without its mask.
pub(crate) struct WireFrame {
    pub(crate) is_last: bool,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

/// Reads a frame.
pub(crate) fn read(from: &mut impl Read) -> io::Result<WireFrame> {
    let mut head = [0; 2];
    from.read_exact(&mut head)?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut length = [0; 2];
            from.read_exact(&mut length)?;
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            from.read_exact(&mut length)?;
            u64::from_be_bytes(length)
        }
        length => u64::from(length),
    };
    let mut mask = [0; 4];
    if head[1] & 0x80 != 0 {
        from.read_exact(&mut mask)?;
    }
    let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    from.read_exact(&mut payload)?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(WireFrame { is_last: head[0] & 0x80 != 0, opcode: head[0] & 0x0f, payload })
}

/// Writes a frame. A client's frames are masked, here with zeros.
pub(crate) fn write(to: &mut impl Write, frame: &WireFrame, is_client: bool) -> io::Result<()> {
    let mask_bit = if is_client { 0x80 } else { 0 };
    let mut bytes = vec![(if frame.is_last { 0x80 } else { 0 }) | frame.opcode];
    match frame.payload.len() {
        length @ 0..=125 => bytes.push(mask_bit | u8::try_from(length).unwrap_or(0)),
        length @ 126..=0xffff => {
            bytes.push(mask_bit | 126);
            bytes.extend(u16::try_from(length).unwrap_or(0).to_be_bytes());
        }
        length => {
            bytes.push(mask_bit | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    if is_client {
        bytes.extend([0; 4]);
    }
    bytes.extend(&frame.payload);
    to.write_all(&bytes)
}
