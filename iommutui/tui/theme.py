"""The program's own theme: a dark slate with a copper accent, made for long lists of short words."""

from textual.theme import Theme

IOMMUTUI = Theme(
    name="iommutui",
    primary="#5fa8e8",
    secondary="#b794f6",
    accent="#e8a35c",
    success="#7ccf8f",
    warning="#e5c35e",
    error="#f0777b",
    foreground="#d5dae3",
    background="#12161c",
    surface="#171c24",
    panel="#202733",
    dark=True,
    variables={
        "block-cursor-background": "#2b3a4f",
        "block-cursor-foreground": "#f2f5f9",
        "cursor-row": "#273447",
        "border": "#3a4658",
        "border-blurred": "#2a3341",
        "footer-background": "#171c24",
        "footer-key-foreground": "#e8a35c",
        "footer-description-foreground": "#9aa6b8",
        "input-selection-background": "#5fa8e8 35%",
        "text-muted": "#929eb1",
        "scrollbar": "#2f3a4a",
        "scrollbar-hover": "#42516a",
        "scrollbar-active": "#5fa8e8",
        "scrollbar-background": "#171c24",
        "scrollbar-background-hover": "#171c24",
        "scrollbar-background-active": "#171c24",
    },
)
