# The program and the certificates of public authorities, nothing else: no shell, no
# user database. Build it with `docker build -t stint .`.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /out/stint ./cmd/stint

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/stint /stint
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/stint"]
CMD ["serve"]
