"""What can be wrong with a file that comes with a question.

    FileError
    ├── FileTooLarge, FileNotTaken
    └── FileUnreadable      PdfLocked, PdfWithoutText, PdfTooMuch
        FileGone, TooManyFiles, TooMuchText, TooMuchUnsent, ImagesNotTaken

Each text is for users, and says what would help.
"""

from __future__ import annotations

from relay.errors import TalkaboutError


class FileError(TalkaboutError):
    """A file cannot come with a question; the text says why."""

    public = "This file cannot be attached."

    def __init__(self, public: str = "") -> None:
        super().__init__(public or self.public)
        self.public = public or self.public


class FileTooLarge(FileError):
    """A file has more bytes than one may have."""


class FileNotTaken(FileError):
    """A file is of a kind that no model could read."""

    public = (
        "This kind of file is not taken. Text, Markdown, code, CSV and PDF are, and PNG, JPEG, GIF and WebP images."
    )


class FileUnreadable(FileError):
    """A file is of a kind that is taken, and cannot be read."""

    public = "This file cannot be read. Text must be UTF-8 or UTF-16, and a PDF whole."


class PdfLocked(FileUnreadable):
    """A PDF needs a password."""

    public = "This PDF needs a password. Save it without one."


class PdfWithoutText(FileUnreadable):
    """A PDF holds pictures of pages and no text."""

    public = "There is no text in this PDF; it may be a scan. Run text recognition over it first."


class PdfTooMuch(FileUnreadable):
    """To read a PDF takes more time or memory than one may take."""

    public = "This PDF takes too long to read. Attach a part of it, or its text."


class FileGone(FileError):
    """A file is not there: never, not any more, or another user's."""

    public = "An attached file is not there any more. Attach it again."


class TooManyFiles(FileError):
    """A message has more files than it may."""


class TooMuchText(FileError):
    """The files of a message have more text than it may have."""


class TooMuchUnsent(FileError):
    """A user has attached more than may wait to be sent."""

    public = "Too much is attached and not sent yet. Send it, or remove some."


class ImagesNotTaken(FileError):
    """An image comes with a question to a model that takes none, as far as its server says."""

    public = "This model takes no images. Choose another one, or remove the image."
