"""Draws the logo and the favicon beside this file: `python bfai/ui/assets/draw.py`. The font is Streamlit's own."""

from __future__ import annotations

from pathlib import Path

import streamlit
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
BLUE = (59, 125, 208, 255)  # reads on the light and on the dark sidebar
WHITE = (255, 255, 255, 255)
BARS = ((0.22, 0.42, 0.78), (0.44, 0.22, 0.78), (0.66, 0.52, 0.78))  # left edge, top, bottom, as parts of the square
SHARPNESS = 4


def mark(size: int) -> Image.Image:
    """The square with three bars, drawn large and made small so that its edges are smooth."""
    large = size * SHARPNESS
    image = Image.new("RGBA", (large, large), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, large - 1, large - 1), radius=large * 0.24, fill=BLUE)
    for left, top, bottom in BARS:
        box = (large * left, large * top, large * (left + 0.13), large * bottom)
        pen.rounded_rectangle(box, radius=large * 0.05, fill=WHITE)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def logo(height: int) -> Image.Image:
    fonts = Path(streamlit.__file__).parent / "static" / "static" / "media"
    font = ImageFont.truetype(str(next(fonts.glob("SourceSansVF-Upright*"))), round(height * 0.78))
    font.set_variation_by_name("Semibold")
    text = "BackFuture"
    left, top, right, bottom = font.getbbox(text)
    gap = round(height * 0.32)
    image = Image.new("RGBA", (round(height + gap + right - left + 2), height), (0, 0, 0, 0))
    image.alpha_composite(mark(height))
    ImageDraw.Draw(image).text((height + gap - left, (height - bottom - top) / 2), text, font=font, fill=BLUE)
    return image


def main() -> None:
    mark(64).save(HERE / "favicon.png", optimize=True)
    mark(96).save(HERE / "mark.png", optimize=True)
    logo(96).save(HERE / "logo.png", optimize=True)


if __name__ == "__main__":
    main()
