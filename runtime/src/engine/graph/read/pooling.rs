//! Windows of which the greatest or the mean is taken.

use tract_onnx::pb::NodeProto;

use super::{Attributes, Reader};
use crate::engine::graph::{Geometry, Id, Kind, Pool, Size, Value};

impl Reader {
    pub(super) fn pooled(&mut self, node: &NodeProto, greatest: bool) -> Result<Id, String> {
        let attributes = Attributes(node);
        let (id, size) = self.picture(node, 0)?;
        if !matches!(attributes.text("auto_pad"), "" | "NOTSET" | "VALID") {
            return Err("automatic padding is not covered".into());
        }
        if node.output.iter().skip(1).any(|name| !name.is_empty()) || attributes.int("storage_order", 0) != 0 {
            return Err("where the greatest is found is not covered".into());
        }
        let kernel = attributes.ints("kernel_shape", [0; 2])?;
        let [top, left, bottom, right] = attributes.ints("pads", [0; 4])?;
        let (begin, mut end) = ([top, left], [bottom, right]);
        let (stride, dilation) = (attributes.ints("strides", [1; 2])?, attributes.ints("dilations", [1; 2])?);
        let input = [size.rows, size.columns];
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return Err(format!("a window of {kernel:?} in steps of {stride:?} is not covered"));
        }
        let reach = [0, 1].map(|d| (kernel[d] - 1) * dilation[d] + 1);
        if [0, 1].iter().any(|&d| begin[d] >= reach[d] || end[d] >= reach[d]) {
            return Err("a window may lie wholly in the border".into());
        }
        let counted = !greatest && attributes.int("count_include_pad", 0) != 0;
        if attributes.int("ceil_mode", 0) != 0 {
            for d in 0..2 {
                let mut last =
                    (input[d] + begin[d] + end[d]).checked_sub(reach[d]).ok_or("the window is larger than its input")?.div_ceil(stride[d]);
                // A last window that begins behind the input is left out.
                while last * stride[d] >= input[d] + begin[d] {
                    last -= 1;
                }
                let needed = (last * stride[d] + reach[d]).saturating_sub(input[d] + begin[d]);
                if counted && needed > end[d] {
                    return Err("a mean that counts a border which is not there is not covered".into());
                }
                end[d] = needed;
            }
        }
        let channels = size.channels;
        let geometry = Geometry { cin: channels, cout: channels, groups: channels, input, kernel, begin, end, stride, dilation };
        let [rows, columns] = geometry.output();
        if rows * columns == 0 {
            return Err("the window is larger than its input".into());
        }
        let pool = if greatest { Pool::Greatest } else { Pool::Mean(counted) };
        Ok(self.emit(Kind::Pool { input: id, geometry, pool }, Value::picture(Size { channels, rows, columns })))
    }
}
