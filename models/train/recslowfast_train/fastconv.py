"""Large-kernel convolution for training: discrete Fourier transforms as matrix products, channels mixed per frequency.

Layout of every activation here: [N, C*B] float32, N = H*W pixels (row-major), B = batch innermost. In that order both DFT
stages are plain matrix products with no transposition, and the channel mix of one frequency is a [C,C] x [C,B] product whose
last axis fills SIMD lanes.

A "same" convolution of an n x n picture with a k x k kernel needs a period of only n + k//2 (71 for 64 and 15): wrapped values
land outside the part that is kept.

Weight gradients of all steps are gathered and computed once (`SpectralKernel.collect`), not once per step.
"""

import ctypes
import hashlib
import math
import os
import pathlib
import subprocess
import tempfile

import torch


def load_native() -> ctypes.CDLL | None:
    """mix.cpp compiled for this machine, or None when there is no C++ compiler (then PyTorch does it, more slowly)."""
    source = pathlib.Path(__file__).with_name("mix.cpp")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "recslowfast_train"
    library = cache / f"mix-{digest}.so"
    if not library.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, suffix=".so", delete=False) as scratch:
            command = ["g++", "-O3", "-march=native", "-ffast-math", "-shared", "-fPIC", "-o", scratch.name, str(source)]
            try:
                subprocess.run(command, check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError):
                os.unlink(scratch.name)
                return None
        os.replace(scratch.name, library)
    return ctypes.CDLL(str(library))


_native = load_native()


def _pointer(tensor: torch.Tensor) -> ctypes.c_void_p:
    assert tensor.is_contiguous() and tensor.dtype == torch.float32
    return ctypes.c_void_p(tensor.data_ptr())


def _native_for(tensor: torch.Tensor) -> bool:
    return _native is not None and tensor.device.type == "cpu" and tensor.shape[-1] in (8, 16)


def block_matrix(spectrum: torch.Tensor) -> torch.Tensor:
    """[F,2,O,C] complex weights as real [F,2O,2C] matrices."""
    re, im = spectrum[:, 0], spectrum[:, 1]
    return torch.cat([torch.cat([re, -im], 2), torch.cat([im, re], 2)], 1)


def mix_complex(weight: torch.Tensor, value: torch.Tensor, transposed: bool) -> torch.Tensor:
    """weight [F,2,C,C], value [F,2,C,B] -> [F,2,C,B]; transposed: by the conjugate transpose."""
    f, _, c, b = value.shape
    value = value.contiguous()
    if _native_for(value):
        out = torch.empty_like(value)
        _native.mix_complex(_pointer(weight), _pointer(value), _pointer(out), ctypes.c_int64(f), c, b, int(transposed))
        return out
    matrix = block_matrix(weight)
    if transposed:
        matrix = matrix.transpose(1, 2)
    return torch.bmm(matrix, value.view(f, 2 * c, b)).view(f, 2, c, b)


def mix_complex_grad(values: list[torch.Tensor], grads: list[torch.Tensor]) -> torch.Tensor:
    """Sum over steps and batch of grad x conj(value): [F,2,C,C]."""
    f, _, c, b = values[0].shape
    if _native_for(values[0]):
        out = torch.empty(f, 2, c, c)
        pointers = ctypes.c_void_p * len(values)
        x = pointers(*(value.data_ptr() for value in values))
        d = pointers(*(grad.data_ptr() for grad in grads))
        _native.mix_complex_grad(x, d, _pointer(out), ctypes.c_int64(f), len(values), c, b)
        return out
    x = torch.cat(values, 3).view(f, 2 * c, -1)
    d = torch.cat(grads, 3).view(f, 2 * c, -1)
    outer = torch.bmm(d, x.transpose(1, 2)).view(f, 2, c, 2, c)
    return torch.stack([outer[:, 0, :, 0] + outer[:, 1, :, 1], outer[:, 1, :, 0] - outer[:, 0, :, 1]], 1)


class _MixSpectrum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value, kernel):
        ctx.kernel, ctx.value = kernel, value.detach()
        blocks = [mix_complex(spectrum, value, False) for spectrum in kernel.spectra]
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks, 2)

    @staticmethod
    def backward(ctx, grad):
        ctx.kernel.values.append(ctx.value)
        blocks = [block.contiguous() for block in grad.chunk(len(ctx.kernel.spectra), 2)]
        ctx.kernel.grads.append(blocks)
        back = [mix_complex(spectrum, block, True) for spectrum, block in zip(ctx.kernel.spectra, blocks)]
        return sum(back[1:], back[0]), None


class _MixPixels(torch.autograd.Function):
    @staticmethod
    def forward(ctx, matrix, value):
        n, c, b = value.shape
        ctx.save_for_backward(matrix, value)
        if not _native_for(value):
            return torch.matmul(matrix, value)
        out = torch.empty_like(value)
        _native.mix_real(_pointer(matrix), _pointer(value), _pointer(out), ctypes.c_int64(n), c, b, 0)
        return out

    @staticmethod
    def backward(ctx, grad):
        matrix, value = ctx.saved_tensors
        n, c, b = value.shape
        grad = grad.contiguous()
        if not _native_for(value):
            return torch.einsum("nob,ncb->oc", grad, value), torch.matmul(matrix.t(), grad)
        back, outer = torch.empty_like(value), torch.empty(c, c)
        _native.mix_real(_pointer(matrix), _pointer(grad), _pointer(back), ctypes.c_int64(n), c, b, 1)
        _native.mix_real_grad(_pointer(value), _pointer(grad), _pointer(outer), ctypes.c_int64(n), c, b)
        return outer, back


def mix_pixels(matrix: torch.Tensor, value: torch.Tensor, batch: int) -> torch.Tensor:
    """A 1x1 convolution: matrix [C,C], value [N,C*B] -> [N,C*B]."""
    n = value.shape[0]
    return _MixPixels.apply(matrix.contiguous(), value.view(n, -1, batch)).view(n, -1)


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value, transform):
        ctx.transform = transform
        return transform.native_forward(value, transform.plain)

    @staticmethod
    def backward(ctx, grad):
        return ctx.transform.native_adjoint(grad, ctx.transform.plain), None


class _Inverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, spectrum, transform):
        ctx.transform = transform
        return transform.native_adjoint(spectrum, transform.scaled)

    @staticmethod
    def backward(ctx, grad):
        return ctx.transform.native_forward(grad, ctx.transform.scaled), None


class Transform:
    """The DFT of one canvas size and kernel size: dense matrices for PyTorch, cosine and sine tables for mix.cpp."""

    def __init__(self, size: int, kernel: int, device: torch.device):
        period = size + kernel // 2
        if size % 8 == 0:
            # any period that is no shorter serves; mix.cpp wants half = (period + 1) / 2 to be a multiple of 4
            period = -(-(period + 1) // 8) * 8 - 1
        half = period // 2 + 1
        self.size, self.period, self.half = size, period, half

        def angles(frequencies: int, positions: torch.Tensor) -> torch.Tensor:
            product = torch.arange(frequencies)[:, None] * positions[None, :] % period
            return 2 * math.pi / period * product.double()

        place = torch.arange(size)
        y = angles(half, place)
        # rows (ky, re/im)
        forward_y = torch.stack([y.cos(), -y.sin()], 1).view(2 * half, size)
        twice = torch.full((half,), 2.0, dtype=torch.float64)
        twice[0] = 1
        if period % 2 == 0:
            twice[-1] = 1
        inverse_y = (forward_y * twice.repeat_interleave(2)[:, None] / period**2).t()
        x = angles(period, place)
        # rows (kx, re/im), columns (re/im, x); its transpose is the inverse up to scale
        forward_x = torch.stack([torch.cat([x.cos(), x.sin()], 1), torch.cat([-x.sin(), x.cos()], 1)], 1)
        forward_x = forward_x.view(2 * period, 2 * size)
        # kernel tap i of a cross-correlation sits at offset kernel//2 - i
        offset = kernel // 2 - torch.arange(kernel)
        ky, kx = angles(half, offset), angles(period, offset)
        total = (ky[:, None, :, None] + kx[None, :, None, :]).view(half * period, 1, kernel * kernel)
        taps = torch.cat([total.cos(), -total.sin()], 1).view(2 * half * period, kernel * kernel)

        def put(matrix: torch.Tensor) -> torch.Tensor:
            return matrix.to(torch.float32).contiguous().to(device)

        self.forward_y, self.inverse_y, self.forward_x, self.taps = map(put, (forward_y, inverse_y, forward_x, taps))
        self.inverse_x = put(forward_x.t())
        # mix.cpp counts positions from the middle of the picture; the middle cancels between forward and inverse
        fits = size % 8 == 0 and max(size, 2 * half) <= 128
        self.native = _native is not None and fits and device.type == "cpu"
        centred = 2 * math.pi / period * torch.arange(half)[:, None] * (torch.arange(size // 2) - (size - 1) / 2).double()[None, :]
        scale = twice[:, None] / period**2
        self.plain = self._tables(centred.cos(), centred.sin(), centred)
        self.scaled = self._tables(centred.cos() * scale, centred.sin() * scale, centred)

    @staticmethod
    def _tables(y_cos: torch.Tensor, y_sin: torch.Tensor, centred: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        tables = [table.float() for table in (y_cos, y_sin, centred.cos(), centred.sin())]
        return [table.contiguous() for table in tables], [table.t().contiguous() for table in tables]

    def _call(self, function, source: torch.Tensor, out: torch.Tensor, tables: list[torch.Tensor], columns: int) -> torch.Tensor:
        scratch = torch.empty(self.half, 2, self.size, columns)
        pointers = [_pointer(tensor) for tensor in (source.contiguous(), out, scratch, *tables)]
        if function(*pointers, self.size, self.half, columns) != 0:
            raise RuntimeError(f"mix.cpp does not handle a canvas of {self.size} with {columns} columns")
        return out

    def native_forward(self, value: torch.Tensor, tables) -> torch.Tensor:
        columns = value.shape[1]
        return self._call(_native.dft_forward, value, torch.empty(self.half * self.period, 2, columns), tables[0], columns)

    def native_adjoint(self, spectrum: torch.Tensor, tables) -> torch.Tensor:
        columns = spectrum.shape[2]
        return self._call(_native.dft_adjoint, spectrum, torch.empty(self.size * self.size, columns), tables[1], columns)

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """[N, C*B] -> [ky*kx, 2, C*B]."""
        columns = value.shape[1]
        if self.native and columns % 8 == 0:
            return _Forward.apply(value, self)
        rows = self.forward_y @ value.view(self.size, -1)
        rows = rows.view(self.half, 2 * self.size, columns)
        matrix = self.forward_x.expand(self.half, -1, -1)
        return torch.bmm(matrix, rows).view(self.half * self.period, 2, columns)

    def inverse(self, spectrum: torch.Tensor) -> torch.Tensor:
        columns = spectrum.shape[2]
        if self.native and columns % 8 == 0:
            return _Inverse.apply(spectrum, self)
        matrix = self.inverse_x.expand(self.half, -1, -1)
        rows = torch.bmm(matrix, spectrum.view(self.half, 2 * self.period, columns))
        return (self.inverse_y @ rows.view(2 * self.half, -1)).view(self.size * self.size, columns)


class SpectralKernel:
    """A [O,C,k,k] kernel parameter, O a multiple of C, and its spectra, computed once per iteration: O/C blocks [F,2,C,C]."""

    def __init__(self, transform: Transform, parameter: torch.Tensor):
        self.transform, self.parameter = transform, parameter
        self.values, self.grads = [], []
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        channels = self.parameter.shape[1]
        taps = [block.permute(2, 3, 0, 1).reshape(-1, channels * channels) for block in self.parameter.detach().split(channels)]
        self.spectra = [(self.transform.taps @ block).view(-1, 2, channels, channels) for block in taps]
        self.values.clear()
        self.grads.clear()

    def __call__(self, value: torch.Tensor, batch: int) -> torch.Tensor:
        spectrum = self.transform.forward(value)
        frequencies = spectrum.shape[0]
        mixed = _MixSpectrum.apply(spectrum.view(frequencies, 2, -1, batch), self)
        return self.transform.inverse(mixed.view(frequencies, 2, -1))

    @torch.no_grad()
    def collect(self) -> None:
        """Adds the gradient of every backward pass since `refresh` to the parameter's `.grad`."""
        if not self.values:
            return
        channels, size = self.parameter.shape[1:3]

        def block(grads: list[torch.Tensor]) -> torch.Tensor:
            grad = mix_complex_grad(self.values, grads).view(self.transform.taps.shape[0], -1)
            return (self.transform.taps.t() @ grad).view(size, size, channels, channels).permute(2, 3, 0, 1)

        grad = torch.cat([block(list(grads)) for grads in zip(*self.grads)])
        self.parameter.grad = grad if self.parameter.grad is None else self.parameter.grad + grad
        self.values.clear()
        self.grads.clear()
