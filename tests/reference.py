"""The paper's models written out in plain PyTorch, from its figure 2 and sections 2 and 3.4: what ours must equal.

Nothing of ablate or timm is used. Parameters of `FeedForwardOnly` have the names of the released checkpoints; the code
of `AttentionOnly` was never released, so it has timm's names.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

EPS = 1e-6
GRID = 14  # side of the released map of position embeddings, whatever the patch size


class PatchProjection(nn.Module):
    """Each patch of an image to a vector: (B, C, S, S) to (B, D, S/P, S/P)."""

    def __init__(self, channels: int, dim: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, patch_size, patch_size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.proj(images)
        return out


class Positions(nn.Module):
    """A map for the patches, stretched to whatever grid the image has, and one vector for the class token."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, dim, GRID, GRID))
        self.cls_pos_embed = nn.Parameter(torch.zeros(1, 1, dim))

    def forward(self, height: int, width: int) -> torch.Tensor:
        patches = F.interpolate(self.pos_embed, (height, width), mode="bilinear", align_corners=False)
        return torch.cat((self.cls_pos_embed, patches.reshape(*patches.shape[:2], -1).mT), 1)


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them, over the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.fc1(x)
        out: torch.Tensor = self.fc2(hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2))))
        return out


class FeedForwardBlock(nn.Module):
    """Figure 2: over the features, transpose, over the patches, transpose back; each with its norm and residual."""

    def __init__(self, dim: int, tokens: int) -> None:
        super().__init__()
        self.norm1, self.mlp1 = nn.LayerNorm(dim, EPS), FeedForward(dim)
        self.norm2, self.mlp2 = nn.LayerNorm(tokens, EPS), FeedForward(tokens)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.mlp1(self.norm1(x))
        turned = x.mT
        turned = torch.add(turned, self.mlp2(self.norm2(turned)))
        return turned.mT


class FeedForwardOnly(nn.Module):
    """`linear_tiny`, `linear_base` and `linear_large`."""

    def __init__(
        self, dim: int, depth: int, patch_size: int, *, image: int = 224, channels: int = 3, classes: int = 1000
    ) -> None:
        super().__init__()
        self.patch_embed = PatchProjection(channels, dim, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_encoding = Positions(dim)
        tokens = (image // patch_size) ** 2 + 1
        self.blocks = nn.ModuleList([FeedForwardBlock(dim, tokens) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim, EPS)
        self.head = nn.Linear(dim, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        grid = self.patch_embed(images)
        patches = grid.reshape(*grid.shape[:2], -1).mT
        x = torch.cat((self.cls_token.repeat(len(images), 1, 1), patches), 1)
        x = x + self.pos_encoding(*grid.shape[2:])
        for block in self.blocks:
            x = block(x)
        out: torch.Tensor = self.head(self.norm(x)[:, 0])
        return out


class SelfAttention(nn.Module):
    """Softmax attention among the rows of (B, L, W), with heads of width W / heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        queries, keys, values = (part.chunk(self.heads, -1) for part in self.qkv(x).chunk(3, -1))
        mixed = [
            torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1) @ v
            for q, k, v in zip(queries, keys, values, strict=True)
        ]
        out: torch.Tensor = self.proj(torch.cat(mixed, -1))
        return out


class AttentionBlock(nn.Module):
    """Section 3.4: attention among tokens as in ViT, then among features instead of the feed-forward layer."""

    def __init__(self, dim: int, tokens: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, EPS), SelfAttention(dim, heads)
        self.norm2, self.mlp = nn.LayerNorm(tokens, EPS), SelfAttention(tokens, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return torch.add(x, self.mlp(self.norm2(x.mT)).mT)


class AttentionOnly(nn.Module):
    """The attention-only tiny, as far as the paper describes it."""

    def __init__(self, dim: int, depth: int, heads: int, patch_size: int = 16, classes: int = 1000) -> None:
        super().__init__()
        tokens = (224 // patch_size) ** 2 + 1
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, dim))
        self.patch_embed = PatchProjection(3, dim, patch_size)
        self.blocks = nn.ModuleList([AttentionBlock(dim, tokens, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim, EPS)
        self.head = nn.Linear(dim, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embed(images).flatten(2).mT
        x = torch.cat((self.cls_token.repeat(len(images), 1, 1), patches), 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        out: torch.Tensor = self.head(self.norm(x)[:, 0])
        return out


def redrawn(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model in float64 with every parameter drawn again, so that none is 0 or 1, which could hide an error."""
    model = model.double().eval()
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            noise = torch.randn(weights.shape, generator=stream, dtype=weights.dtype)
            scale = 1 / math.sqrt(weights[0].numel()) if weights.dim() in (2, 4) and "pos" not in name else 0.5
            weights.copy_(noise * scale + ("norm" in name and name.endswith("weight")))
    return model
