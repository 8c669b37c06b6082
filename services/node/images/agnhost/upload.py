"""netexec's /upload: the field `file` of a form becomes a file in /uploads (netexec.go, uploadHandler)."""

from email import policy
from email.parser import BytesParser

from podwire.services.node.files import FileError
from podwire.services.node.images.agnhost.go import log, to_json
from podwire.services.node.images.http_server import Request, Response
from podwire.services.node.process import Process

_FOLDER = "/uploads"


async def answer(process: Process, request: Request) -> Response:
    """201 and the file's path, or 200 and what went wrong."""
    data = field(request, "file")
    if data is None:
        await log(process, "Unable to upload file: http: no such file")
        return Response(body=to_json({"error": "Unable to upload file."}))
    path = f"{_FOLDER}/upload{process.random.getrandbits(32)}"
    try:
        process.files.make_folder(_FOLDER)
        process.files.write(path, data)
    except FileError as error:
        await log(process, f"Unable to write file: {error.strerror}")
        return Response(body=to_json({"error": "Unable to write file."}))
    await log(process, f"Wrote upload to {path}")
    return Response(201, to_json({"output": path}))


def field(request: Request, name: str) -> bytes | None:
    """A file of a multipart/form-data body, None if there is none (RFC 7578)."""
    kind = request.header("Content-Type")
    if not kind.lower().startswith("multipart/form-data"):
        return None
    head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=policy.HTTP).parsebytes(head + request.body)
    for part in message.iter_parts() if message.is_multipart() else ():
        if part.get_param("name", header="content-disposition") == name and part.get_filename() is not None:
            payload = part.get_payload(decode=True)
            return payload if isinstance(payload, bytes) else None
    return None
